import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { RecoveryNote } from "../model/checkpoint.ts";
import { decodeBatch, MAX_BATCH_BYTES, type StoredBatch } from "./batch.ts";
import { Malformed } from "./bytes.ts";
import type { CheckpointFiles } from "./files.ts";
import { type Expected, HEADER_BYTES, parseHeader } from "./header.ts";
import { generationOf, journalName } from "./names.ts";
import { type FileWindow, reading } from "./window.ts";

/** Of a record: length u32, CRC-32 of length and payload, seeded by the file's header. */
export const RECORD_HEAD_BYTES = 8;

/** One generation that belongs to the chain that ends with the newest. */
export interface Generation {
  readonly generation: number;
  /** The one before; 0: none. */
  readonly previous: number;
  /** The last sequence number before it. What `previous` holds behind that is not part of the history. */
  readonly follows: number;
  readonly seed: number;
  readonly path: string;
  readonly bytes: number;
}

export interface JournalChain {
  /** Oldest first. */
  readonly generations: readonly Generation[];
  /** All files of journals; those that are not of the chain are leftovers. */
  readonly present: readonly number[];
  readonly notes: readonly RecoveryNote[];
}

interface Where {
  readonly files: CheckpointFiles;
  readonly directory: string;
  readonly digest: Uint8Array;
}

/**
 * Which generations count: the newest with a whole header, and what it follows, as far as that is there. What was removed, but whose
 * removal a crash undid, is not reached from there, or everything in it is covered by snapshots and index.
 */
export async function findChain(where: Where, names: readonly string[]): Promise<JournalChain> {
  const present = names.flatMap((name) => generationOf(name) ?? []).sort((a, b) => b - a);
  const heads = new Map<number, Generation>();
  const notes: RecoveryNote[] = [];
  for (const generation of present) {
    const head = await readHead(where, generation);
    if ("previous" in head) heads.set(generation, head);
    else if (head.bytes > 0) notes.push(headless(head));
  }
  const generations: Generation[] = [];
  let next = heads.get(Math.max(0, ...heads.keys()));
  while (next) {
    generations.unshift(next);
    next = next.previous < next.generation ? heads.get(next.previous) : undefined;
  }
  return { generations, present, notes };
}

function headless({ path, bytes }: { path: string; bytes: number }): RecoveryNote {
  const message = `${path} has no whole header, so its ${bytes} bytes are passed over: it was cut short before its first record was acknowledged, or it is damaged`;
  return { kind: "torn_tail", path, bytes, message };
}

async function readHead(
  { files, directory, digest }: Where,
  generation: number,
): Promise<Generation | { path: string; bytes: number }> {
  const path = join(directory, journalName(generation));
  const expected: Expected = { kind: "journal", digest, path };
  return reading(files.open(path, "read"), async (window) => {
    const head = await window.at(0, Math.min(HEADER_BYTES, window.size));
    const header = head && parseHeader(head, expected);
    const bytes = window.size;
    if (header?.fields[0] !== generation) return { path, bytes };
    const [, previous, follows] = header.fields;
    return { generation, previous, follows, seed: header.seed, path, bytes };
  });
}

export interface Replayed {
  /** Of the last batch that counts. */
  readonly sequence: number;
  readonly notes: readonly RecoveryNote[];
}

/** Gives every batch of the chain, in order, up to the first that is torn or wrong: what is behind it does not count. */
export async function replayChain(
  files: CheckpointFiles,
  chain: readonly Generation[],
  take: (batch: StoredBatch) => void,
): Promise<Replayed> {
  let sequence = chain[0]?.follows ?? 0;
  for (const [index, generation] of chain.entries()) {
    const until = chain[index + 1]?.follows;
    const read = await replayOne(files, generation, { after: sequence, until, take });
    sequence = read.sequence;
    const passedOver = generation.bytes - read.end;
    if (until === undefined && passedOver > 0) {
      return { sequence, notes: [torn(generation, read.end, passedOver)] };
    }
    if (until !== undefined && sequence < until) {
      const behind = chain.slice(index + 1).reduce((sum, { bytes }) => sum + bytes, passedOver);
      return { sequence, notes: [damaged(generation, read.end, behind)] };
    }
  }
  return { sequence, notes: [] };
}

interface Taking {
  readonly after: number;
  readonly until: number | undefined;
  readonly take: (batch: StoredBatch) => void;
}

function replayOne(
  files: CheckpointFiles,
  generation: Generation,
  { after, until, take }: Taking,
): Promise<{ sequence: number; end: number }> {
  return reading(files.open(generation.path, "read"), async (window) => {
    let end = HEADER_BYTES;
    let sequence = after;
    while (until === undefined || sequence < until) {
      const record = await readRecord(window, end, generation.seed);
      const batch = record && decode(record);
      if (batch === undefined || batch.sequence <= sequence) break;
      take(batch);
      sequence = batch.sequence;
      end += RECORD_HEAD_BYTES + (record?.length ?? 0);
    }
    return { sequence, end };
  });
}

async function readRecord(window: FileWindow, at: number, seed: number): Promise<Buffer | undefined> {
  const head = await window.at(at, RECORD_HEAD_BYTES);
  if (head === undefined) return undefined;
  const length = head.readUInt32BE(0);
  const crc = head.readUInt32BE(4);
  if (length === 0 || length > MAX_BATCH_BYTES) return undefined;
  const lengthSeed = crc32(head.subarray(0, 4), seed);
  const payload = await window.at(at + RECORD_HEAD_BYTES, length);
  return payload && crc32(payload, lengthSeed) === crc ? payload : undefined;
}

function decode(payload: Uint8Array): StoredBatch | undefined {
  try {
    return decodeBatch(payload);
  } catch (cause) {
    if (cause instanceof Malformed) return undefined;
    throw cause;
  }
}

function torn({ path }: Generation, at: number, bytes: number): RecoveryNote {
  const message = `${path} was cut short at byte ${at}: ${bytes} bytes that were never acknowledged are passed over`;
  return { kind: "torn_tail", path, bytes, message };
}

function damaged({ path }: Generation, at: number, bytes: number): RecoveryNote {
  const message = `${path} is damaged at byte ${at}: ${bytes} bytes of the journal behind it do not count, and what they told is transferred again`;
  return { kind: "journal_damaged", path, bytes, message };
}
