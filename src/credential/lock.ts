import { stat, unlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { PbError } from "../model/error.ts";
import { createFile } from "./files.ts";

/** What is done under the lock takes milliseconds; who holds it longer has died. */
const STALE_MS = 10_000;
const WAIT_MS = 12_000;
const POLL_MS = 20;

/**
 * Runs `work` while no other process does so with the same lock file. For edits by commands that people start;
 * what must be exact under attack (the use of an invite) rests on `createFile` instead.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await createFile(path, `${process.pid}\n`))) {
    if (performance.now() > deadline) {
      throw new PbError("timeout", `another pb holds ${path}`, { path, hint: `remove ${path} if none runs` });
    }
    await removeStale(path);
    await sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    await unlink(path).catch(() => {});
  }
}

async function removeStale(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info && Date.now() - info.mtimeMs > STALE_MS) await unlink(path).catch(() => {});
}
