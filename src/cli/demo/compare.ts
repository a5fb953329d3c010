import { lstat, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";

const BLOCK_BYTES = 4 * 1024 * 1024;

/** The first difference between two files or trees in names, kinds, sizes, modes, times, link targets and bytes; else nothing. */
export async function difference(
  left: string,
  right: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  const [one, other] = await Promise.all([lstat(left, { bigint: true }), lstat(right, { bigint: true })]);
  if ((one.mode & 0o177777n) !== (other.mode & 0o177777n)) return `${right}: kind or mode differs`;
  if (one.isSymbolicLink()) {
    return (await readlink(left)) === (await readlink(right)) ? undefined : `${right}: link target differs`;
  }
  if (one.isDirectory()) return folderDifference(left, right, signal);
  if (one.mtimeNs !== other.mtimeNs) return `${right}: modification time differs`;
  if (one.size !== other.size) return `${right}: size differs (${one.size} and ${other.size})`;
  return (await sameBytes(left, right, signal)) ? undefined : `${right}: content differs`;
}

async function folderDifference(
  left: string,
  right: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [names, others] = await Promise.all([readdir(left), readdir(right)]);
  const missing = names.find((name) => !others.includes(name));
  if (missing !== undefined) return `${join(right, missing)}: missing`;
  const extra = others.find((name) => !names.includes(name));
  if (extra !== undefined) return `${join(right, extra)}: not in the source`;
  for (const name of names) {
    const found = await difference(join(left, name), join(right, name), signal);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function sameBytes(left: string, right: string, signal: AbortSignal): Promise<boolean> {
  await using one = await open(left);
  await using other = await open(right);
  const buffers = [Buffer.allocUnsafe(BLOCK_BYTES), Buffer.allocUnsafe(BLOCK_BYTES)] as const;
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const [a, b] = await Promise.all([
      one.read(buffers[0], 0, BLOCK_BYTES, at),
      other.read(buffers[1], 0, BLOCK_BYTES, at),
    ]);
    if (a.bytesRead !== b.bytesRead) return false;
    if (a.bytesRead === 0) return true;
    if (!buffers[0].subarray(0, a.bytesRead).equals(buffers[1].subarray(0, b.bytesRead))) return false;
    at += a.bytesRead;
  }
}
