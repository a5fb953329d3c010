import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that is gone after the test, whatever happened in it. */
export interface Scratch extends AsyncDisposable {
  readonly path: string;
  /** A path below it. */
  at(...names: string[]): string;
}

/** @param base where; default PB_TEST_TMP or the system's temporary folder */
export function scratch(base: string = process.env.PB_TEST_TMP ?? tmpdir()): Scratch {
  const path = mkdtempSync(join(base, "pb-test-"));
  return {
    path,
    at: (...names) => join(path, ...names),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
}
