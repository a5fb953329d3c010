import { join } from "node:path";
import { crc32 } from "node:zlib";
import { PbError } from "../model/error.ts";
import type { CheckpointFile, CheckpointFiles } from "./files.ts";
import type { Folder } from "./folder.ts";
import { encodeHeader, HEADER_BYTES, seedOf } from "./header.ts";
import { RECORD_HEAD_BYTES } from "./journal-read.ts";
import { journalName } from "./names.ts";
import type { Pace } from "./pace.ts";

/** A generation that is written no more. */
export interface Sealed {
  readonly path: string;
  /** Of its last batch. */
  readonly last: number;
  readonly bytes: number;
}

export interface JournalOptions {
  readonly files: CheckpointFiles;
  readonly directory: string;
  /** Of `directory`. */
  readonly folder: Folder;
  readonly digest: Uint8Array;
  /** Above every one that has ever been seen there. */
  readonly generation: number;
  /** The newest that counts; 0: none. */
  readonly previous: number;
  /** Of the last batch of `previous` that counts. */
  readonly follows: number;
  /** All up to it is on stable storage already, here or in snapshots and index. */
  readonly durable: number;
  readonly groupBytes: number;
  /** Before each group. */
  readonly pace: Pace;
  /** Asked before each group: a generation of more bytes is sealed first. */
  readonly generationBytes: () => number;
  readonly onSealed: (sealed: Sealed) => void;
  readonly now: () => number;
}

interface Waiting {
  readonly sequence: number;
  readonly payload: Buffer;
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: PbError) => void;
}

/**
 * The append-only journal: batches that wait are joined to one write and one sync (group commit). Generations are files of their own,
 * never changed when they are sealed. After a failed write or sync nothing is tried again: what the disk holds then is not known.
 */
export class Journal {
  readonly #options: JournalOptions;
  #generation: number;
  #file: CheckpointFile | undefined;
  #path = "";
  #seed = 0;
  #bytes = 0;
  /** What is acknowledged has to be found: the name of this generation may not be durable yet. */
  #owesName = true;
  #previous: number;
  #follows: number;
  #durable: number;
  #queue: Waiting[] = [];
  #writing: readonly Waiting[] = [];
  #running: Promise<void> | undefined;
  #failure: PbError | undefined;
  #closing = false;
  readonly #watchers = new Set<() => void>();

  private constructor(options: JournalOptions) {
    this.#options = options;
    this.#generation = options.generation;
    this.#previous = options.previous;
    this.#follows = options.follows;
    this.#durable = options.durable;
  }

  static async open(options: JournalOptions): Promise<Journal> {
    const journal = new Journal(options);
    try {
      await journal.#begin();
    } catch (cause) {
      await journal.#file?.close().catch(() => {});
      throw cause;
    }
    return journal;
  }

  /** Of the last batch on stable storage. */
  get durable(): number {
    return this.#durable;
  }

  /** Of the generation that is written. */
  get bytes(): number {
    return this.#bytes - HEADER_BYTES;
  }

  get queued(): number {
    return this.#queue.length + this.#writing.length;
  }

  /** When the oldest batch that is not durable was given; undefined: all are. */
  get oldest(): number | undefined {
    return (this.#writing[0] ?? this.#queue[0])?.since;
  }

  /** Resolves when the batch, and all before it, are on stable storage. `sequence` rises from call to call. */
  append(sequence: number, payload: Buffer): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    const written = new Promise<void>((resolve, reject) => {
      this.#queue.push({ sequence, payload, since: this.#options.now(), resolve, reject });
    });
    this.#running ??= this.#run();
    return written;
  }

  /** True when all up to `sequence` is durable, false when it never will be. */
  async reached(sequence: number): Promise<boolean> {
    while (this.#durable < sequence && !this.#failure) {
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
    return this.#durable >= sequence;
  }

  /** Nothing more is taken; what waits is refused with `error`. */
  fail(error: PbError): void {
    this.#failure ??= error;
    const refused = this.#queue;
    this.#queue = [];
    for (const { reject } of refused) reject(this.#failure);
    this.#wake();
  }

  /** Waits for what was appended, then seals the last generation; an empty one is removed instead. */
  async close(): Promise<void> {
    this.#closing = true;
    while (this.#running) await this.#running;
    const empty = this.#bytes === HEADER_BYTES;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    if (empty && file) await this.#options.files.remove(this.#path);
    else if (file && !this.#failure) this.#seal();
    this.fail(new PbError("aborted", "the checkpoint is closed"));
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        if (!this.#closing) await this.#options.pace.turn();
        await this.#writeGroup();
      }
    } catch (cause) {
      const error = PbError.from(cause, "io_error", { path: this.#path });
      const refused = this.#writing;
      this.#writing = [];
      for (const { reject } of refused) reject(error);
      this.fail(error);
    } finally {
      this.#running = undefined;
    }
  }

  async #writeGroup(): Promise<void> {
    const group = this.#takeGroup();
    if (group.length === 0) return;
    if (this.bytes > 0 && this.bytes >= this.#options.generationBytes()) await this.#rotate();
    const file = this.#file as CheckpointFile;
    const bytes = Buffer.concat(group.flatMap(({ payload }) => [this.#head(payload), payload]));
    await file.write(bytes, this.#bytes);
    await file.sync();
    if (this.#owesName) await this.#options.folder.settle();
    this.#owesName = false;
    this.#bytes += bytes.length;
    this.#durable = (group.at(-1) as Waiting).sequence;
    this.#writing = [];
    for (const { resolve } of group) resolve();
    this.#wake();
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes < this.#options.groupBytes)) {
      bytes += (this.#queue[count] as Waiting).payload.length;
      count += 1;
    }
    this.#writing = this.#queue.splice(0, count);
    return this.#writing;
  }

  #head(payload: Buffer): Buffer {
    const head = Buffer.alloc(RECORD_HEAD_BYTES);
    head.writeUInt32BE(payload.length);
    head.writeUInt32BE(crc32(payload, crc32(head.subarray(0, 4), this.#seed)), 4);
    return head;
  }

  async #rotate(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.#seal();
    this.#previous = this.#generation;
    this.#follows = this.#durable;
    this.#generation += 1;
    await this.#begin();
  }

  #seal(): void {
    this.#options.onSealed({ path: this.#path, last: this.#durable, bytes: this.bytes });
  }

  async #begin(): Promise<void> {
    const { files, directory, digest } = this.#options;
    this.#path = join(directory, journalName(this.#generation));
    const header = encodeHeader({
      kind: "journal",
      digest,
      fields: [this.#generation, this.#previous, this.#follows],
    });
    this.#file = await files.create(this.#path);
    this.#options.folder.mark();
    this.#owesName = true;
    await this.#file.write(header, 0);
    this.#seed = seedOf(header);
    this.#bytes = HEADER_BYTES;
  }

  #wake(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const resolve of watchers) resolve();
  }
}
