import { PbError } from "../model/error.ts";
import { pathBytes } from "../model/path.ts";
import type { SendEntry } from "./types.ts";

const KINDS = { file: 0, directory: 1, symlink: 2, other: 3 } as const;
/** kind, root, descriptor, size, mtime, mode, uid, gid, inode. */
const FIXED = 1 + 2 + 4 + 8 + 8 + 4 + 4 + 4 + 8;
const MAX_PATH_BYTES = 0xffff;
/** Surrogates: those of bytes that are no UTF-8, and halves of pairs, which no name has alone. */
const SURROGATE = /[\ud800-\udfff]/;

/**
 * Entries as native/pb-node/src/session/pack.rs reads them. In one pass and into one buffer: a tree of small files costs its sender more
 * here than anywhere else in JavaScript.
 *
 * @throws PbError `invalid_path` for a path over 65,535 bytes
 */
export function packEntries(entries: readonly SendEntry[]): Uint8Array {
  let bound = 0;
  for (const { source, target, linkTarget = "" } of entries) {
    // A UTF-16 unit is at most three bytes of UTF-8.
    bound += FIXED + 3 * (2 + source.length + target.length + linkTarget.length);
  }
  const out = Buffer.allocUnsafe(bound);
  let at = 0;
  for (const entry of entries) {
    at = putFixed(out, at, entry);
    at = putPath(out, at, entry.source);
    at = putPath(out, at, entry.target);
    at = putPath(out, at, entry.linkTarget ?? "");
  }
  return out.subarray(0, at);
}

function putFixed(out: Buffer, start: number, entry: SendEntry): number {
  let at = out.writeUInt8(KINDS[entry.kind], start);
  at = out.writeUInt16LE(entry.root, at);
  at = out.writeInt32LE(entry.sourceFd ?? -1, at);
  at = out.writeUInt32LE(entry.size % 2 ** 32, at);
  at = out.writeUInt32LE(Math.floor(entry.size / 2 ** 32), at);
  at = out.writeBigInt64LE(BigInt.asIntN(64, entry.mtimeNs), at);
  at = out.writeUInt32LE(entry.mode, at);
  at = out.writeUInt32LE(entry.uid, at);
  at = out.writeUInt32LE(entry.gid, at);
  return out.writeBigUInt64LE(entry.inode ?? 0n, at);
}

function putPath(out: Buffer, at: number, path: string): number {
  const start = at + 2;
  const length = SURROGATE.test(path) ? putBytes(out, start, path) : out.write(path, start);
  if (length > MAX_PATH_BYTES) throw new PbError("invalid_path", "the path is too long", { path });
  out.writeUInt16LE(length, at);
  return start + length;
}

function putBytes(out: Buffer, at: number, path: string): number {
  const bytes = pathBytes(path);
  out.set(bytes, at);
  return bytes.length;
}
