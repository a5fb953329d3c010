import { randomBytes } from "node:crypto";
import { open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrivateFolder, fileError } from "../../credential/files.ts";
import { type LocalCheck, ok, warn } from "./check.ts";

const BLOCK_BYTES = 1024 * 1024;
/** Enough to be more than a drive's own cache line, little enough for a slow card. */
const MAX_BYTES = 64 * BLOCK_BYTES;
const MAX_MS = 2000;
/** Half of what 1 Gbit/s brings. */
const SLOW_BYTES_PER_SECOND = 60e6;

/** Writes for at most two seconds and syncs, where this client keeps its state. */
export const disk: LocalCheck = {
  name: "disk",
  async run({ home, signal }) {
    const file = join(home, `.doctor-${randomBytes(6).toString("hex")}`);
    await ensurePrivateFolder(home);
    try {
      const { bytes, seconds } = await writeFor(file, signal);
      const rate = bytes / seconds;
      const detail = `${Math.round(rate / 1e6)} MB/s written and synced in ${home}`;
      if (rate >= SLOW_BYTES_PER_SECOND) return ok(detail);
      return warn(
        detail,
        "a transfer to this disk cannot be faster; --fsync off spares small files the wait",
      );
    } catch (cause) {
      throw fileError(cause, file);
    } finally {
      await unlink(file).catch(() => {});
    }
  },
};

async function writeFor(path: string, signal: AbortSignal): Promise<{ bytes: number; seconds: number }> {
  // Random, for disks that compress.
  const block = randomBytes(BLOCK_BYTES);
  const file = await open(path, "wx", 0o600);
  const started = performance.now();
  let bytes = 0;
  try {
    while (bytes < MAX_BYTES && performance.now() - started < MAX_MS) {
      signal.throwIfAborted();
      await file.write(block);
      bytes += BLOCK_BYTES;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, seconds: (performance.now() - started) / 1000 };
}
