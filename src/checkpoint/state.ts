import {
  DONE_RECORD_BYTES,
  FILE_KEY_BYTES,
  type FileProgress,
  HASH_BYTES,
  type PartRecord,
  type WorkerProgress,
} from "../model/checkpoint.ts";
import { keyText, type StoredBatch, type StoredPart } from "./batch.ts";
import { copied } from "./bytes.ts";
import { ChunkSet } from "./chunks.ts";
import { DoneSet } from "./done-set.ts";
import { ShardedMap } from "./sharded-map.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One file that is not whole, and how far its workers are. */
export interface FileEntry {
  /** Its identity; `chunks` and `extra` of the record are not used. */
  part: StoredPart;
  readonly chunks: ChunkSet;
  readonly extra: Uint8Array[];
  extraBytes: number;
  readonly workers: Map<number, Mutable<WorkerProgress>>;
  /** Of the last batch that it was in. */
  sequence: number;
}

/** What a batch changed, for whoever has to write it down. */
export interface Applied {
  readonly touched: readonly string[];
  readonly removed: readonly string[];
}

/** Everything known of a job: a sharded map file -> worker -> progress, and the set of finished files. Memory alone. */
export class CheckpointState {
  readonly files = new ShardedMap<FileEntry>();
  readonly done: DoneSet;
  /** Parts that recovery cannot put together; they begin anew. */
  readonly lost = new Set<string>();
  doneBytes = 0;
  sequence = 0;

  #hashes: Uint8Array | undefined;

  /** @param hashes of finished files are gathered, of `expectedDone` at most */
  constructor(expectedDone = 0, { hashes = false } = {}) {
    this.done = new DoneSet(expectedDone);
    if (hashes) this.#hashes = new Uint8Array(expectedDone * HASH_BYTES);
  }

  /** Root hashes in the order of `done`, of its first `count`; what is gathered goes with it. */
  takeHashes(count: number): Uint8Array {
    const taken = this.#hashes?.subarray(0, count * HASH_BYTES);
    this.#hashes = undefined;
    return taken ?? new Uint8Array(0);
  }

  /** In the order gone, parts, done. What an entry knows already (it came from a later snapshot) is passed over. */
  apply(batch: StoredBatch): Applied {
    this.sequence = Math.max(this.sequence, batch.sequence);
    const removed = eachKey(batch.gone, FILE_KEY_BYTES).filter((key) => this.#remove(key, batch.sequence));
    const touched = batch.parts.map((part) => this.#extend(part, batch.sequence));
    removed.push(...this.#finish(batch));
    return { touched, removed };
  }

  /** Takes a snapshot's entry. */
  restore(part: StoredPart, sequence: number): void {
    this.sequence = Math.max(this.sequence, sequence);
    const entry = newEntry(part);
    this.files.set(keyText(part.key), entry);
    advance(entry, part, sequence);
  }

  addDone(records: Uint8Array): void {
    const view = Buffer.from(records.buffer, records.byteOffset, records.length);
    for (let at = 0; at < view.length; at += DONE_RECORD_BYTES) {
      const before = this.done.size;
      const number = this.done.add(view.subarray(at, at + FILE_KEY_BYTES));
      this.#keepHash(number, view.subarray(at + DONE_RECORD_BYTES - HASH_BYTES, at + DONE_RECORD_BYTES));
      if (this.done.size > before) this.doneBytes += Number(view.readBigUInt64BE(at + FILE_KEY_BYTES));
    }
  }

  #keepHash(number: number, hash: Uint8Array): void {
    const at = number * HASH_BYTES;
    // Of a file that was done again the last record counts.
    if (this.#hashes && at < this.#hashes.length) this.#hashes.set(hash, at);
  }

  /** As `record` would store it: `extraAt` is what is held of the same part. */
  stored(part: PartRecord, replaced: boolean): StoredPart {
    const known = replaced ? undefined : this.files.get(keyText(part.key));
    const extra = part.extra ?? new Uint8Array(0);
    return { ...part, extra, extraAt: known && isSamePart(known.part, part) ? known.extraBytes : 0 };
  }

  progress(): FileProgress[] {
    return Array.from(this.files.entries(), ([, entry]) => ({
      key: entry.part.key,
      target: entry.part.target,
      size: entry.part.size,
      durableBytes: durableBytes(entry),
      workers: Array.from(entry.workers.values(), (worker) => ({ ...worker })),
    }));
  }

  note(key: Uint8Array, progress: Partial<WorkerProgress> & { readonly worker: number }): void {
    const entry = this.files.get(keyText(key));
    if (entry) Object.assign(workerOf(entry, progress.worker), progress);
  }

  #remove(key: string, sequence: number): boolean {
    const entry = this.files.get(key);
    this.lost.delete(key);
    return entry !== undefined && entry.sequence <= sequence && this.files.delete(key);
  }

  #extend(part: StoredPart, sequence: number): string {
    const key = keyText(part.key);
    let entry = this.files.get(key);
    if (entry && entry.sequence >= sequence) return key;
    if (entry === undefined || !isSamePart(entry.part, part)) {
      entry = newEntry(part);
      this.lost.delete(key);
      this.files.set(key, entry);
    }
    if (part.extraAt !== entry.extraBytes) this.lost.add(key);
    advance(entry, part, sequence);
    return key;
  }

  #finish(batch: StoredBatch): string[] {
    this.addDone(batch.done);
    // Small files were never parts: of ten thousand of them no key need become a text.
    if (this.files.size === 0 && this.lost.size === 0) return [];
    return eachKey(batch.done, DONE_RECORD_BYTES).filter((key) => this.#remove(key, batch.sequence));
  }
}

function eachKey(records: Uint8Array, recordBytes: number): string[] {
  const keys: string[] = [];
  for (let at = 0; at < records.length; at += recordBytes) {
    keys.push(keyText(records.subarray(at, at + FILE_KEY_BYTES)));
  }
  return keys;
}

function newEntry(part: StoredPart): FileEntry {
  const none = new Uint8Array(0);
  const identity = { ...part, key: copied(part.key), temporary: copied(part.temporary) };
  return {
    part: { ...identity, chunks: none, extra: none, extraAt: 0 },
    chunks: new ChunkSet(),
    extra: [],
    extraBytes: 0,
    workers: new Map(),
    sequence: 0,
  };
}

function advance(entry: FileEntry, part: StoredPart, sequence: number): void {
  const before = entry.chunks.count;
  entry.chunks.add(part.chunks);
  if (part.extra.length > 0) entry.extra.push(copied(part.extra));
  entry.extraBytes += part.extra.length;
  entry.sequence = sequence;
  // The size may become known on the way.
  entry.part = { ...entry.part, size: part.size, target: part.target };
  const worker = workerOf(entry, part.worker ?? 0);
  worker.lastChunkWritten = Math.max(worker.lastChunkWritten, entry.chunks.highest);
  worker.lastChunkRead = Math.max(worker.lastChunkRead, worker.lastChunkWritten);
  worker.bytesWritten += (entry.chunks.count - before) * part.chunkBytes;
  worker.bytesRead = Math.max(worker.bytesRead, worker.bytesWritten);
  worker.sequence = sequence;
}

function workerOf(entry: FileEntry, worker: number): Mutable<WorkerProgress> {
  let progress = entry.workers.get(worker);
  if (progress === undefined) {
    progress = {
      worker,
      lastChunkRead: -1,
      lastChunkWritten: -1,
      bytesRead: 0,
      bytesWritten: 0,
      status: "active",
      sequence: entry.sequence,
    };
    entry.workers.set(worker, progress);
  }
  return progress;
}

/** Are these of one part on disk (or of one upload)? */
function isSamePart(one: PartRecord, other: PartRecord): boolean {
  return (
    one.device === other.device &&
    one.inode === other.inode &&
    one.birthNs === other.birthNs &&
    one.chunkBytes === other.chunkBytes &&
    Buffer.compare(one.temporary, other.temporary) === 0
  );
}

/** The whole of what is known, as a snapshot stores it and recovery gives it. */
export function wholePart(entry: FileEntry): StoredPart {
  return { ...entry.part, chunks: entry.chunks.runs(), extra: Buffer.concat(entry.extra), extraAt: 0 };
}

export function durableBytes({ chunks, part }: FileEntry): number {
  const all = chunks.count * part.chunkBytes;
  if (part.size < 0) return all;
  const last = Math.ceil(part.size / part.chunkBytes) - 1;
  return chunks.has(last) ? all - ((last + 1) * part.chunkBytes - part.size) : all;
}
