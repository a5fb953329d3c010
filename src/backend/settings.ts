/** What backends read of a remote's settings. */

import { readFile } from "node:fs/promises";
import type { EndpointConfig } from "../model/endpoint.ts";
import { PbError } from "../model/error.ts";

/** Undefined when it is not set, or empty. @throws PbError `invalid_argument` when it is no text */
export function textSetting(config: EndpointConfig, name: string, peer: string): string | undefined {
  const value = config.settings[name];
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string") return value;
  throw new PbError("invalid_argument", `${name} must be text`, { peer });
}

/** The authorities of `ca_file`, PEM. @throws PbError `invalid_argument` naming the file that can't be read */
export async function authoritiesOf(config: EndpointConfig, peer: string): Promise<string | undefined> {
  const file = textSetting(config, "ca_file", peer);
  if (file === undefined) return undefined;
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new PbError("invalid_argument", `${peer}: ca_file ${file} cannot be read`, {
      path: file,
      peer,
      cause,
    });
  }
}
