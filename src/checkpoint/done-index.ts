import { join } from "node:path";
import { crc32 } from "node:zlib";
import { DONE_RECORD_BYTES } from "../model/checkpoint.ts";
import type { CheckpointFile, CheckpointFiles } from "./files.ts";
import type { Folder } from "./folder.ts";
import { encodeHeader, seedOf } from "./header.ts";
import { DONE } from "./names.ts";

/** "PBDG"; by it the next group is found behind a damaged one. */
export const GROUP_MAGIC = 0x50424447;
/** magic u32, count of records u32, sequence u64 (see below), CRC-32 of these and the records, seeded by the file's header. */
export const GROUP_HEAD_BYTES = 20;
/** 224 KiB: what a damaged byte costs at most. */
export const GROUP_RECORDS = 4_096;

export interface DoneIndexOptions {
  readonly files: CheckpointFiles;
  readonly directory: string;
  /** Of `directory`. */
  readonly folder: Folder;
  readonly digest: Uint8Array;
  /** Where the next group goes; 0: there is no file. */
  readonly end: number;
  /** Of the header that is there. */
  readonly seed: number;
}

/** The append-only index of finished files. Groups stand by themselves: a record says the same with any others, or none, beside it. */
export class DoneIndex {
  readonly #options: DoneIndexOptions;
  #file: CheckpointFile | undefined;
  #end: number;
  #seed: number;

  constructor(options: DoneIndexOptions) {
    this.#options = options;
    this.#end = options.end;
    this.#seed = options.seed;
  }

  /**
   * On stable storage when it resolves. `sequence`: with these, the index has all finished files of the batches up to it; the last
   * group says so, the others say 0.
   */
  async append(records: Uint8Array, sequence: number): Promise<void> {
    const isNew = this.#end === 0;
    this.#file ??= await this.#openFile();
    const header = isNew ? doneHeader(this.#options.digest) : Buffer.alloc(0);
    if (isNew) this.#seed = seedOf(header);
    const bytes = Buffer.concat([header, encodeGroups(records, sequence, this.#seed)]);
    await this.#file.write(bytes, this.#end);
    await this.#file.sync();
    await this.#options.folder.settle();
    this.#end += bytes.length;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #openFile(): Promise<CheckpointFile> {
    const { files, directory, folder } = this.#options;
    const path = join(directory, DONE);
    if (this.#end > 0) return files.open(path, "write");
    const file = await files.create(path);
    folder.mark();
    return file;
  }
}

export function doneHeader(digest: Uint8Array): Buffer {
  return encodeHeader({ kind: "done", digest, fields: [0, 0, 0] });
}

export function encodeGroups(records: Uint8Array, sequence: number, seed: number): Buffer {
  const step = GROUP_RECORDS * DONE_RECORD_BYTES;
  const groups: Uint8Array[] = [];
  for (let at = 0; at < records.length; at += step) {
    const piece = records.subarray(at, at + step);
    const head = Buffer.alloc(GROUP_HEAD_BYTES);
    head.writeUInt32BE(GROUP_MAGIC, 0);
    head.writeUInt32BE(piece.length / DONE_RECORD_BYTES, 4);
    head.writeBigUInt64BE(BigInt(at + step < records.length ? 0 : sequence), 8);
    head.writeUInt32BE(crc32(piece, crc32(head.subarray(0, 16), seed)), 16);
    groups.push(head, piece);
  }
  return Buffer.concat(groups);
}
