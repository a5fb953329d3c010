/** The only importer of the addon. */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type * as Addon from "../../native/index.js";
import { PbError } from "../model/error.ts";

export type { Addon };

/** From src/native/ the addon's folder is two up, from the bundle in dist/ one. */
const FOLDERS = ["../native/", "../../native/"];

/** A package or a checkout carries one of them; loading the other would fail. */
const LIBCS = ["gnu", "musl"];

let loaded: typeof Addon | undefined;

/**
 * The addon, loaded at the first call.
 *
 * @throws PbError `internal` when it is missing or does not load here; and at the use of what one of an older build has not
 */
export function addon(): typeof Addon {
  loaded ??= load();
  return loaded;
}

function load(): typeof Addon {
  const file = find();
  try {
    return whole(createRequire(import.meta.url)(file) as typeof Addon, file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PbError("internal", `the engine does not load: ${why}`, {
      path: file,
      hint: "It was built for another machine: run `node scripts/setup.mjs` in a checkout of Packetboat.",
      cause: error,
    });
  }
}

/** Promises ask a value whether it is one, too. */
const ASKED_OF_ANY: readonly PropertyKey[] = ["then", "toJSON"];

/** An addon of an older build than the code that uses it: what it lacks is told, where the call of `undefined` would be a TypeError. */
export function whole(found: typeof Addon, file: string): typeof Addon {
  return new Proxy(found, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (value !== undefined || typeof name === "symbol" || ASKED_OF_ANY.includes(name)) return value;
      throw new PbError("internal", `the engine is of another build than this pb: it has no ${name}`, {
        path: file,
        hint: "Run `node scripts/setup.mjs` in the checkout, which builds both; a package is to be installed again.",
      });
    },
  });
}

function find(): string {
  const platform = `${process.platform}-${process.arch}`;
  for (const folder of FOLDERS) {
    for (const libc of LIBCS) {
      const file = fileURLToPath(new URL(`${folder}pb-node.${platform}-${libc}.node`, import.meta.url));
      if (existsSync(file)) return file;
    }
  }
  throw new PbError("internal", `the engine for ${platform} is missing`, {
    hint: "Build it: run `node scripts/setup.mjs` in the checkout; a package carries it for its own platform only.",
  });
}
