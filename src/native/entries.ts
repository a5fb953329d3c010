import type { Entry, EntryKind } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import { nativeFailure } from "./errors.ts";

/** The layout is documented beside its encoder, native/pb-node/src/fs/pack.rs. */
const KINDS: readonly EntryKind[] = ["file", "directory", "symlink", "other"];
const ERROR = 255;
const ENTRY_HEAD = 49;
const ERROR_HEAD = 9;

export interface DecodedBatch {
  readonly entries: Entry[];
  /** Paths are relative to the root, those of `entries` to what is listed. */
  readonly errors: PbError[];
}

/** @throws PbError `internal` for bytes that the encoder never makes */
export function decodeBatch(batch: Buffer): DecodedBatch {
  const entries: Entry[] = [];
  const errors: PbError[] = [];
  try {
    for (let at = 0; at < batch.length; ) {
      at = batch[at] === ERROR ? readError(batch, at, errors) : readEntry(batch, at, entries);
    }
  } catch (cause) {
    if (cause instanceof RangeError) throw malformed(cause);
    throw cause;
  }
  return { entries, errors };
}

function readEntry(batch: Buffer, at: number, entries: Entry[]): number {
  const kind = KINDS[batch.readUInt8(at)];
  if (kind === undefined) throw malformed();
  const pathEnd = at + ENTRY_HEAD + batch.readUInt16LE(at + 1);
  const end = pathEnd + batch.readUInt16LE(at + 3);
  if (end > batch.length) throw malformed();
  entries.push({
    path: pathText(batch.subarray(at + ENTRY_HEAD, pathEnd)),
    kind,
    size: batch.readUInt32LE(at + 17) + batch.readUInt32LE(at + 21) * 2 ** 32,
    mtimeNs: batch.readBigInt64LE(at + 25),
    mode: batch.readUInt32LE(at + 5),
    uid: batch.readUInt32LE(at + 9),
    gid: batch.readUInt32LE(at + 13),
    inode: batch.readBigUInt64LE(at + 33),
    device: batch.readBigUInt64LE(at + 41),
    ...(kind === "symlink" ? { linkTarget: pathText(batch.subarray(pathEnd, end)) } : {}),
  });
  return end;
}

function readError(batch: Buffer, at: number, errors: PbError[]): number {
  const pathEnd = at + ERROR_HEAD + batch.readUInt16LE(at + 1);
  const codeEnd = pathEnd + batch.readUInt8(at + 3);
  const end = codeEnd + batch.readUInt8(at + 4);
  if (end > batch.length) throw malformed();
  const errno = batch.readInt32LE(at + 5);
  errors.push(
    nativeFailure({
      code: batch.toString("latin1", pathEnd, codeEnd),
      path: batch.subarray(at + ERROR_HEAD, pathEnd),
      op: batch.toString("latin1", codeEnd, end),
      ...(errno === 0 ? {} : { errno }),
    }),
  );
  return end;
}

function malformed(cause?: unknown): PbError {
  return new PbError("internal", "the engine gave a malformed listing", { cause });
}
