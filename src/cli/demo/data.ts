import { createCipheriv, randomBytes } from "node:crypto";
import { chmod, mkdir, open, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

const BLOCK_BYTES = 4 * 1024 * 1024;

/** Bytes that do not repeat and do not compress, faster than a disk: AES-CTR of zeros. */
function randomStream(): (length: number) => Buffer {
  const cipher = createCipheriv("aes-128-ctr", randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(BLOCK_BYTES);
  return (length) => cipher.update(zeros.subarray(0, length));
}

/** A file of `bytes` random bytes. */
export async function makeFile(path: string, bytes: number, signal: AbortSignal): Promise<void> {
  const next = randomStream();
  await using file = await open(path, "wx", 0o644);
  for (let left = bytes; left > 0; left -= Math.min(left, BLOCK_BYTES)) {
    signal.throwIfAborted();
    await file.writeFile(next(Math.min(left, BLOCK_BYTES)));
  }
}

const FILES_PER_FOLDER = 50;
/** As source trees have: from nothing to 32 KiB. */
const MAX_SMALL_BYTES = 32 * 1024;

/** A tree of `count` small files in nested folders, with a script, a link and an empty folder. Gives the bytes in it. */
export async function makeTree(root: string, count: number, signal: AbortSignal): Promise<number> {
  const next = randomStream();
  let bytes = 0;
  await mkdir(join(root, "empty"), { recursive: true });
  for (let at = 0; at < count; at += 1) {
    signal.throwIfAborted();
    const group = Math.floor(at / FILES_PER_FOLDER);
    const folder = join(root, `part-${group % 8}`, `group-${group}`);
    if (at % FILES_PER_FOLDER === 0) await mkdir(folder, { recursive: true });
    // A fixed spread of sizes: the same work each time.
    const size = (at * 7919) % MAX_SMALL_BYTES;
    await writeFile(join(folder, `file-${at}`), next(size));
    bytes += size;
  }
  await writeFile(join(root, "run.sh"), "#!/bin/sh\necho hello\n");
  await chmod(join(root, "run.sh"), 0o755);
  await symlink("run.sh", join(root, "link"));
  return bytes;
}
