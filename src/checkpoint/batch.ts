import {
  type CheckpointBatch,
  DONE_RECORD_BYTES,
  FILE_KEY_BYTES,
  type PartRecord,
} from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import { pathBytes, pathText } from "../model/path.ts";
import { ByteReader, ByteWriter, copied, Malformed } from "./bytes.ts";
import { eachRun } from "./chunks.ts";

/** A record of the journal must fit into memory twice; the engine's are a few KiB. */
export const MAX_BATCH_BYTES = 256 << 20;
/** 10,000 parts of an S3 upload with an 800-byte statement each. */
export const MAX_EXTRA_BYTES = 8 << 20;
const MAX_NAME_BYTES = 65_535;

/** A part as it is stored: `extraAt` is how many bytes of `extra` were known before. */
export interface StoredPart extends PartRecord {
  readonly extra: Uint8Array;
  readonly extraAt: number;
}

export interface StoredBatch {
  readonly sequence: number;
  readonly parts: readonly StoredPart[];
  readonly done: Uint8Array;
  readonly gone: Uint8Array;
}

const PART_FIXED_BYTES = FILE_KEY_BYTES + 6 * 8 + 4 + 2 + 3 * 4;

/** What fills a part of a buffer: bytes that need not be a copy first. */
export interface Filling {
  readonly length: number;
  fill(out: Buffer): void;
}

function encodePart(part: StoredPart): Buffer {
  const out = new ByteWriter(partBytes(part));
  writePart(out, part);
  return out.bytes;
}

export function partBytes(part: StoredPart, chunks: { readonly length: number } = part.chunks): number {
  const names = part.temporary.length + pathBytes(part.target).length;
  return PART_FIXED_BYTES + names + chunks.length + part.extra.length;
}

/**
 * key 16, size, chunkBytes, device, inode, birthNs, extraAt: u64; worker u32; temporary u16+; target, chunks, extra u32+. `chunks` stand for those
 * of the part.
 */
export function writePart(out: ByteWriter, part: StoredPart, chunks?: Filling): void {
  const { temporary, extra, size, chunkBytes, device, inode, birthNs, extraAt } = part;
  out.raw(part.key);
  for (const each of [size, chunkBytes, device, inode, birthNs, extraAt]) out.u64(each);
  out.u32(part.worker ?? 0);
  out.u16(temporary.length);
  out.raw(temporary);
  out.sized(pathBytes(part.target));
  if (chunks === undefined) out.sized(part.chunks);
  else {
    out.u32(chunks.length);
    chunks.fill(out.space(chunks.length));
  }
  out.sized(extra);
}

/** Copies what it keeps. @throws Malformed */
export function decodePart(bytes: Uint8Array): StoredPart {
  const from = new ByteReader(bytes);
  const key = copied(from.raw(FILE_KEY_BYTES));
  const size = Number(BigInt.asIntN(64, from.u64()));
  const chunkBytes = from.safe();
  const device = from.u64();
  const inode = from.u64();
  const birthNs = BigInt.asIntN(64, from.u64());
  const extraAt = from.safe();
  const worker = from.u32();
  const temporary = copied(from.raw(from.u16()));
  const target = pathText(from.sized());
  const chunks = from.sized();
  for (const _ of eachRun(chunks)); // each is whole
  const extra = from.sized();
  from.end();
  return { key, size, chunkBytes, device, inode, birthNs, extraAt, worker, temporary, target, chunks, extra };
}

/** sequence u64, count of parts u32, each u32+; gone u32+; done u32+. */
export function encodeBatch(batch: StoredBatch): Buffer {
  const parts = batch.parts.map(encodePart);
  const partBytes = parts.reduce((sum, part) => sum + 4 + part.length, 0);
  const size = 8 + 4 + partBytes + 4 + batch.gone.length + 4 + batch.done.length;
  if (size > MAX_BATCH_BYTES) throw invalid(`of ${size} bytes is more than ${MAX_BATCH_BYTES}`);
  const out = new ByteWriter(size);
  out.u64(batch.sequence);
  out.u32(parts.length);
  for (const part of parts) out.sized(part);
  out.sized(batch.gone);
  out.sized(batch.done);
  return out.bytes;
}

/** @throws Malformed */
export function decodeBatch(bytes: Uint8Array): StoredBatch {
  const from = new ByteReader(bytes);
  const sequence = from.safe();
  const parts: StoredPart[] = [];
  for (let left = from.u32(); left > 0; left -= 1) parts.push(decodePart(from.sized()));
  const gone = from.sized();
  const done = from.sized();
  from.end();
  if (gone.length % FILE_KEY_BYTES || done.length % DONE_RECORD_BYTES) throw new Malformed("half a record");
  return { sequence, parts, done, gone };
}

/** @throws PbError `invalid_argument`: nothing of it may be taken */
export function checkBatch(batch: CheckpointBatch): void {
  if (batch.gone.length % FILE_KEY_BYTES) throw invalid("has half a key in `gone`");
  if (batch.done.length % DONE_RECORD_BYTES) throw invalid("has half a record in `done`");
  const keys = new Set<string>();
  for (const part of batch.parts) {
    checkPart(part);
    keys.add(keyText(part.key));
  }
  if (keys.size !== batch.parts.length) throw invalid("has two records of one part");
}

function checkPart(part: PartRecord): void {
  if (part.key.length !== FILE_KEY_BYTES) throw invalid("has a key that is not of 16 bytes");
  if (!Number.isSafeInteger(part.size) || part.size < -1) throw invalid(`has the size ${part.size}`);
  if (!Number.isSafeInteger(part.chunkBytes) || part.chunkBytes < 1) throw invalid("has chunks of no size");
  if (part.temporary.length > MAX_NAME_BYTES) throw invalid("has a name too long");
  const chunkCount = part.size < 0 ? Number.MAX_SAFE_INTEGER : Math.ceil(part.size / part.chunkBytes);
  try {
    for (const { first, count } of eachRun(part.chunks)) {
      if (first + count > chunkCount) throw invalid(`has chunk ${first + count - 1} of ${chunkCount}`);
    }
  } catch (cause) {
    throw cause instanceof Malformed ? invalid(`is malformed: ${cause.message}`) : cause;
  }
}

export function invalid(what: string): PbError {
  return new PbError("invalid_argument", `a checkpoint batch ${what}`);
}

/** Hexadecimal, as in the names of snapshots. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("hex");
}
