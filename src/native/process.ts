import { addon } from "./addon.ts";
import { fromNative } from "./errors.ts";

/**
 * Nothing of this process is left in a core any more, in memory or in registers, and only root looks into it (PR_SET_DUMPABLE).
 * What it starts is not concerned.
 *
 * @throws PbError `internal` when the engine is missing
 */
export function refuseDumps(): void {
  try {
    addon().refuseDumps();
  } catch (error) {
    throw fromNative(error);
  }
}
