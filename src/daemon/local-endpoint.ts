import { isAbsolute } from "node:path";
import { createLocalBackend } from "../backend/local/backend.ts";
import type { OpenEndpoint } from "../backend/registry.ts";
import { PbError } from "../model/error.ts";
import { openRoot } from "../native/root.ts";

/** A folder of this machine under a remote's name: nothing outside of it is reached, through links neither. */
export const openLocal: OpenEndpoint = async ({ settings: { path } }, { name }) => {
  if (typeof path !== "string" || !isAbsolute(path)) {
    throw new PbError("invalid_argument", `${name}: path must be absolute`, { peer: name });
  }
  return createLocalBackend({
    name,
    root: await openRoot({ directory: path, resolve: "beneath", writable: true }),
  });
};
