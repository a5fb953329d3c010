import { PbError } from "../model/error.ts";
import { pathBytes } from "../model/path.ts";
import type { SendEntry } from "./types.ts";

const KINDS = { file: 0, directory: 1, symlink: 2, other: 3 } as const;
/** kind, root, descriptor, size, mtime, mode, uid, gid, inode. */
const FIXED = 1 + 2 + 4 + 8 + 8 + 4 + 4 + 4 + 8;

/**
 * Entries as native/pb-node/src/session/pack.rs reads them.
 *
 * @throws PbError `invalid_path` for a path over 65,535 bytes
 */
export function packEntries(entries: readonly SendEntry[]): Uint8Array {
  const strings = entries.map((e) => [e.source, e.target, e.linkTarget ?? ""].map(bytesOf));
  const size = strings.flat().reduce((sum, b) => sum + 2 + b.length, entries.length * FIXED);
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [index, entry] of entries.entries()) {
    at = putFixed(out, at, entry);
    for (const bytes of strings[index] ?? []) {
      at = out.writeUInt16LE(bytes.length, at);
      out.set(bytes, at);
      at += bytes.length;
    }
  }
  return out;
}

function putFixed(out: Buffer, start: number, entry: SendEntry): number {
  let at = out.writeUInt8(KINDS[entry.kind], start);
  at = out.writeUInt16LE(entry.root, at);
  at = out.writeInt32LE(entry.sourceFd ?? -1, at);
  at = out.writeBigUInt64LE(BigInt(entry.size), at);
  at = out.writeBigInt64LE(BigInt.asIntN(64, entry.mtimeNs), at);
  at = out.writeUInt32LE(entry.mode, at);
  at = out.writeUInt32LE(entry.uid, at);
  at = out.writeUInt32LE(entry.gid, at);
  return out.writeBigUInt64LE(entry.inode ?? 0n, at);
}

function bytesOf(path: string): Uint8Array {
  const bytes = pathBytes(path);
  if (bytes.length > 0xffff) throw new PbError("invalid_path", "the path is too long", { path });
  return bytes;
}
