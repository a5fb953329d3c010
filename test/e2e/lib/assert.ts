import { expect } from "vitest";
import type { PbResult } from "../harness.ts";

interface ErrorRecord {
  readonly code: string;
  readonly message: string;
  readonly path: string | null;
}

/** Asserts exit code and error code of a run with `--json`; the error as it was told. */
export function expectError(result: PbResult, exit: number, code: string): ErrorRecord {
  const error = errorsOf(result)[0];
  expect({ exit: result.code, code: error?.code, stderr: result.stderr }).toMatchObject({ exit, code });
  return error as ErrorRecord;
}

/** From standard error (a command that failed) or from the receipt on standard output (a transfer that ran). */
export function errorsOf(result: PbResult): ErrorRecord[] {
  const found: ErrorRecord[] = [];
  for (const line of `${result.stderr}\n${result.stdout}`.split("\n")) {
    if (!line.startsWith("{")) continue;
    const record = JSON.parse(line) as { error?: ErrorRecord; errors?: ErrorRecord[] };
    if (record.error !== undefined) found.push(record.error);
    found.push(...(record.errors ?? []));
  }
  return found;
}
