import { isAbsolute, join } from "node:path";
import envPaths from "env-paths";
import { PbError } from "../model/error.ts";

/**
 * Where a client's state lives: `PB_HOME`, else the platform's config folder.
 *
 * @throws PbError `usage` for a PB_HOME that is not absolute: it would depend on where one stands
 */
export function pbHome(env: NodeJS.ProcessEnv = process.env): string {
  const given = env.PB_HOME;
  if (!given) return envPaths("packetboat", { suffix: "" }).config;
  if (isAbsolute(given)) return given;
  throw new PbError("usage", `PB_HOME must be an absolute path, not ${given}`, { path: given });
}

/** A server's state folder when none is named. */
export function defaultState(home: string): string {
  return join(home, "server");
}
