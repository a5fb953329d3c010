import { join } from "node:path";
import { DONE_RECORD_BYTES, FILE_KEY_BYTES } from "../model/checkpoint.ts";
import { doneHeader, encodeGroups, GROUP_RECORDS } from "./done-index.ts";
import { type DoneWhere, type ReadDone, readDone } from "./done-read.ts";
import { DoneSet } from "./done-set.ts";
import type { CheckpointFile } from "./files.ts";
import { DONE } from "./names.ts";
import { replaceFile } from "./replace.ts";

/** Not worth a rewrite below. */
const SMALL_BYTES = 64 << 10;

/** Damaged, or less than half of it is of use: files that were done again, many small groups. */
export function isWorthCompacting({ damagedBytes, end }: ReadDone, files: number): boolean {
  return damagedBytes > 0 || (end > SMALL_BYTES && end > 2 * files * DONE_RECORD_BYTES);
}

/**
 * The index without damaged bytes, without a second record of one file (the last counts), in groups as large as they may be. The caller
 * syncs the folder. Returns where the next group goes. Memory: 28 bytes a file at most.
 */
export async function compactDone(where: DoneWhere, read: ReadDone): Promise<number> {
  const { last, files } = await lastRecords(where, read.records);
  const header = doneHeader(where.digest);
  let end = header.length;
  await replaceFile({
    files: where.files,
    path: join(where.directory, DONE),
    write: async (file) => {
      await file.write(header, 0);
      end = await copyLast({ where, read, last, files, file }, end);
    },
  });
  return end;
}

/** Of each record, by its place in the file: does no later one name the same file? */
async function lastRecords(where: DoneWhere, records: number): Promise<{ last: Uint8Array; files: number }> {
  const set = new DoneSet();
  const newest = new Uint32Array(records);
  const last = new Uint8Array(records);
  let at = 0;
  await readDone(where, (piece) => {
    for (const record of eachRecord(piece)) {
      const before = set.size;
      const number = set.add(record.subarray(0, FILE_KEY_BYTES));
      if (set.size === before) last[newest[number] ?? 0] = 0;
      newest[number] = at;
      last[at] = 1;
      at += 1;
    }
  });
  return { last, files: set.size };
}

interface Copying {
  readonly where: DoneWhere;
  readonly read: ReadDone;
  readonly last: Uint8Array;
  readonly files: number;
  readonly file: CheckpointFile;
}

async function copyLast({ where, read, last, files, file }: Copying, start: number): Promise<number> {
  const group = Buffer.allocUnsafe(GROUP_RECORDS * DONE_RECORD_BYTES);
  let filled = 0;
  let end = start;
  let at = 0;
  let left = files;
  await readDone(where, async (piece) => {
    for (const record of eachRecord(piece)) {
      if (last[at++] === 0) continue;
      group.set(record, filled);
      filled += DONE_RECORD_BYTES;
      left -= 1;
      if (filled < group.length && left > 0) continue;
      const bytes = encodeGroups(group.subarray(0, filled), left === 0 ? read.sequence : 0, read.seed);
      await file.write(bytes, end);
      end += bytes.length;
      filled = 0;
    }
  });
  return end;
}

function* eachRecord(records: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < records.length; at += DONE_RECORD_BYTES) {
    yield records.subarray(at, at + DONE_RECORD_BYTES);
  }
}
