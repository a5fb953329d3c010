import { join } from "node:path";
import { crc32 } from "node:zlib";
import { DONE_RECORD_BYTES, type RecoveryNote } from "../model/checkpoint.ts";
import { doneHeader, GROUP_HEAD_BYTES, GROUP_MAGIC, GROUP_RECORDS } from "./done-index.ts";
import type { CheckpointFiles } from "./files.ts";
import { HEADER_BYTES, parseHeader, seedOf } from "./header.ts";
import { DONE } from "./names.ts";
import { type FileWindow, reading } from "./window.ts";

export interface DoneWhere {
  readonly files: CheckpointFiles;
  readonly directory: string;
  readonly digest: Uint8Array;
}

export interface ReadDone {
  /** Behind the last good group. */
  readonly end: number;
  readonly bytes: number;
  readonly records: number;
  /** All finished files of the batches up to it are in. */
  readonly sequence: number;
  readonly seed: number;
  /** The header is whole; else it is not, or there are no bytes at all. */
  readonly whole: boolean;
  /** Bytes between good groups that are not good. */
  readonly damagedBytes: number;
  readonly notes: readonly RecoveryNote[];
}

/** A view, good until it returns. */
type TakeRecords = (records: Uint8Array) => void | Promise<void>;

/** Bytes searched for the next group at a time. */
const SEARCH_BYTES = 1 << 16;

/** Gives every good group's records. Memory: one window, however long the file is. */
export function readDone({ files, directory, digest }: DoneWhere, take: TakeRecords): Promise<ReadDone> {
  const path = join(directory, DONE);
  return reading(files.open(path, "read"), async (window) => {
    const head = await window.at(0, Math.min(HEADER_BYTES, window.size));
    const header = head && parseHeader(head, { kind: "done", digest, path });
    // The header is the same at every opening, so a damaged one is no loss.
    const seed = header?.seed ?? seedOf(doneHeader(digest));
    const read = await readGroups(window, seed, take);
    const all = { ...read, bytes: window.size, seed, whole: header !== undefined };
    const damagedBytes = read.damagedBytes + (header || read.records === 0 ? 0 : HEADER_BYTES);
    return { ...all, damagedBytes, notes: notesOf(path, { ...all, damagedBytes }) };
  });
}

type Groups = Pick<ReadDone, "end" | "records" | "sequence" | "damagedBytes">;

async function readGroups(window: FileWindow, seed: number, take: TakeRecords): Promise<Groups> {
  let end = HEADER_BYTES;
  let records = 0;
  let sequence = 0;
  let damagedBytes = 0;
  for (let at = HEADER_BYTES; at + GROUP_HEAD_BYTES <= window.size; ) {
    const group = await readGroup(window, at, seed);
    if (group === undefined) {
      at = await findMagic(window, at + 1);
      continue;
    }
    await take(group.records);
    damagedBytes += at - end;
    records += group.records.length / DONE_RECORD_BYTES;
    sequence = Math.max(sequence, group.sequence);
    at += GROUP_HEAD_BYTES + group.records.length;
    end = at;
  }
  return { end, records, sequence, damagedBytes };
}

async function readGroup(
  window: FileWindow,
  at: number,
  seed: number,
): Promise<{ records: Uint8Array; sequence: number } | undefined> {
  const head = await window.at(at, GROUP_HEAD_BYTES);
  if (head?.readUInt32BE(0) !== GROUP_MAGIC) return undefined;
  const count = head.readUInt32BE(4);
  const sequence = Number(head.readBigUInt64BE(8));
  const crc = head.readUInt32BE(16);
  if (count === 0 || count > GROUP_RECORDS) return undefined;
  const headSeed = crc32(head.subarray(0, 16), seed);
  const records = await window.at(at + GROUP_HEAD_BYTES, count * DONE_RECORD_BYTES);
  return records && crc32(records, headSeed) === crc ? { records, sequence } : undefined;
}

/** Where the next group may begin; the size of the file: nowhere. */
async function findMagic(window: FileWindow, from: number): Promise<number> {
  const magic = Buffer.alloc(4);
  magic.writeUInt32BE(GROUP_MAGIC);
  for (let at = from; at + magic.length <= window.size; at += SEARCH_BYTES) {
    const length = Math.min(SEARCH_BYTES + magic.length - 1, window.size - at);
    const found = (await window.at(at, length))?.indexOf(magic) ?? -1;
    if (found >= 0) return at + found;
  }
  return window.size;
}

function notesOf(path: string, { end, bytes, damagedBytes }: Groups & { bytes: number }): RecoveryNote[] {
  const notes: RecoveryNote[] = [];
  if (damagedBytes > 0) {
    const message = `${path} is damaged: ${damagedBytes} bytes are passed over, and the files they named are looked at again`;
    notes.push({ kind: "index_damaged", path, bytes: damagedBytes, message });
  }
  if (bytes > end) {
    const message = `${path} was cut short at byte ${end}: ${bytes - end} bytes of a group that was not whole are passed over`;
    notes.push({ kind: "torn_tail", path, bytes: bytes - end, message });
  }
  return notes;
}
