import { PbError } from "../model/error.ts";

/** Does an error say that there was too much at once? */
export function isThrottling(cause: unknown): boolean {
  if (!(cause instanceof PbError)) return false;
  if (cause.retryAfterMs !== undefined) return true;
  return ["resource_exhausted", "connection_lost", "timeout", "too_many_open_files"].includes(cause.code);
}
