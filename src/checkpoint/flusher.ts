import { join } from "node:path";
import { PbError } from "../model/error.ts";
import type { DoneIndex } from "./done-index.ts";
import type { CheckpointFiles } from "./files.ts";
import { Folder } from "./folder.ts";
import type { Sealed } from "./journal.ts";
import type { CheckpointLimits } from "./limits.ts";
import type { Histogram } from "./meter.ts";
import { ACTIVE, snapshotPath } from "./names.ts";
import type { Pending } from "./pending.ts";
import { replaceFile } from "./replace.ts";
import { encodeSnapshot } from "./snapshot.ts";
import type { CheckpointState } from "./state.ts";

export interface FlusherOptions {
  readonly files: CheckpointFiles;
  readonly directory: string;
  /** Of `directory`. */
  readonly folder: Folder;
  readonly digest: Uint8Array;
  readonly state: CheckpointState;
  readonly pending: Pending;
  readonly index: DoneIndex;
  readonly limits: CheckpointLimits;
  readonly latency: Histogram;
  readonly now: () => number;
  /** Is the journal durable up to this batch? Resolves false when it never will be. */
  readonly reached: (sequence: number) => Promise<boolean>;
  /** Nothing can be recorded any more. */
  readonly onFailure: (error: PbError) => void;
}

interface Round {
  readonly sealed: readonly Sealed[];
  /** Of the last batch of `sealed`. */
  readonly last: number;
  /** Files that still need it. */
  readonly pinned: Set<string>;
}

/**
 * Brings what the journal holds to where it belongs, in the background: updated files to snapshots, finished ones to the index. When
 * nothing needs a sealed generation any more it is removed (a round).
 */
export class Flusher {
  readonly #options: FlusherOptions;
  /** Keys whose snapshot is due, and since when; in the order they became so. */
  readonly #due = new Map<string, number>();
  readonly #busy = new Set<string>();
  readonly #workers = new Set<Promise<void>>();
  #sealed: Sealed[] = [];
  #done: { sequence: number; records: Uint8Array; sinceMs: number }[] = [];
  #round: Round | undefined;
  #finishing: Promise<void> | undefined;
  readonly #active: Folder;
  #failed = false;
  readonly #relieved = new Set<() => void>();
  snapshots = 0;

  constructor(options: FlusherOptions) {
    this.#options = options;
    this.#active = new Folder(options.files, join(options.directory, ACTIVE));
  }

  get workers(): number {
    return this.#workers.size;
  }

  get queued(): number {
    return this.#due.size + this.#busy.size;
  }

  /** Bytes of sealed journal that are not covered yet. */
  get uncovered(): number {
    return [...this.#sealed, ...(this.#round?.sealed ?? [])].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** When the oldest record came that the index has not yet; undefined: it has all. */
  get oldestDoneMs(): number | undefined {
    return this.#done[0]?.sinceMs;
  }

  /** Files that the index is to have before the journal up to `sequence` may go. */
  addDone(records: Uint8Array, sequence: number): void {
    if (records.length > 0) this.#done.push({ sequence, records, sinceMs: this.#options.now() });
  }

  seal(sealed: Sealed): void {
    this.#sealed.push(sealed);
    this.#advance();
  }

  /** Looks at these files: is a snapshot due? */
  consider(keys: readonly string[]): void {
    const { pending, limits, now } = this.#options;
    const at = now();
    for (const key of keys) {
      if (pending.isDue(key, limits, at) && !this.#due.has(key)) this.#due.set(key, at);
    }
    this.#start();
  }

  /** Looks at all files; called from time to time. */
  tick(): void {
    const { pending, limits, now } = this.#options;
    this.consider(pending.due(limits, now()));
  }

  /** Resolves when less than `bytes` of sealed journal are not covered, or when nothing will be any more. */
  async below(bytes: number): Promise<void> {
    while (this.uncovered >= bytes && !this.#failed) {
      await new Promise<void>((resolve) => this.#relieved.add(resolve));
    }
  }

  /** Waits until all that was sealed is covered and gone, or nothing can be written any more. */
  async drain(): Promise<void> {
    await this.below(1);
    while (this.#workers.size > 0) await Promise.all(this.#workers);
    await this.#finishing;
  }

  /** Nothing more is begun. */
  stop(): void {
    this.#failed = true;
    this.#due.clear();
    this.#relieve();
  }

  #advance(): void {
    if (this.#round === undefined && this.#sealed.length > 0) this.#beginRound();
    const round = this.#round;
    if (round && round.pinned.size === 0 && !this.#finishing && !this.#failed) {
      this.#finishing = this.#finish(round).catch((cause: unknown) => this.#fail(cause));
    }
    this.#start();
  }

  #beginRound(): void {
    const sealed = this.#sealed;
    this.#sealed = [];
    const last = (sealed.at(-1) as Sealed).last;
    const pinned = new Set(this.#options.pending.needing(last));
    const at = this.#options.now();
    for (const key of pinned) if (!this.#due.has(key)) this.#due.set(key, at);
    this.#round = { sealed, last, pinned };
  }

  /** Names and index first, then what they replace. */
  async #finish(round: Round): Promise<void> {
    const { files, folder, index, latency, now } = this.#options;
    const began = now();
    const ready = this.#done.filter(({ sequence }) => sequence <= round.last);
    if (ready.length > 0) {
      await index.append(Buffer.concat(ready.map(({ records }) => records)), round.last);
      latency.add(now() - began);
    }
    await this.#active.settle();
    for (const { path } of round.sealed) {
      // In this order even after a power cut: an older generation without the next would bring back what that has ended.
      await folder.settle();
      await files.remove(path);
      folder.mark();
    }
    this.#done = this.#done.filter(({ sequence }) => sequence > round.last);
    this.#round = undefined;
    this.#finishing = undefined;
    this.#relieve();
    this.#advance();
  }

  /** A worker when there is none, and one more each time that what is due has waited too long with those that there are. */
  #start(): void {
    const { limits, now } = this.#options;
    const oldest = this.#nextDue();
    if (this.#failed || oldest === undefined || this.#workers.size >= limits.flushWorkers) return;
    if (this.#workers.size > 0 && now() - oldest.since < limits.lagMs) return;
    const worker: Promise<void> = this.#work().finally(() => {
      this.#workers.delete(worker);
      this.#start();
    });
    this.#workers.add(worker);
  }

  /** The first that no worker has; one that is written now comes again when that is over. */
  #nextDue(): { key: string; since: number } | undefined {
    for (const [key, since] of this.#due) if (!this.#busy.has(key)) return { key, since };
    return undefined;
  }

  async #work(): Promise<void> {
    try {
      for (let key = this.#take(); key !== undefined && !this.#failed; key = this.#take()) {
        await this.#flush(key);
        this.#busy.delete(key);
        this.#unpin(key);
        this.#start();
      }
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #take(): string | undefined {
    const key = this.#nextDue()?.key;
    if (key === undefined) return undefined;
    this.#due.delete(key);
    this.#busy.add(key);
    return key;
  }

  /** The file as it is now: its snapshot is written, or removed. */
  async #flush(key: string): Promise<void> {
    const { pending, state, latency, now } = this.#options;
    if (!pending.has(key)) return;
    const began = now();
    pending.begin(key);
    const bytes = pending.isLive(key) ? await this.#snapshot(key, state) : undefined;
    if (bytes === undefined && pending.isOnDisk(key) && !pending.isLive(key)) await this.#remove(key);
    if (bytes === undefined && pending.isLive(key)) pending.giveUp(key);
    else pending.settle(key, bytes, now());
    latency.add(now() - began);
  }

  /** Its size; undefined: the file is no more, or the journal does not reach so far. */
  async #snapshot(key: string, state: CheckpointState): Promise<number | undefined> {
    const { files, directory, digest, reached } = this.#options;
    const entry = state.files.get(key);
    if (entry === undefined) return undefined;
    const sequence = entry.sequence;
    const bytes = encodeSnapshot(entry, digest);
    const written = await replaceFile({
      files,
      path: snapshotPath(directory, key),
      write: (file) => file.write(bytes, 0),
      goOn: async () => (await reached(sequence)) && state.files.get(key) === entry,
    });
    if (!written) return undefined;
    this.#active.mark();
    this.snapshots += 1;
    return bytes.length;
  }

  async #remove(key: string): Promise<void> {
    const { files, directory, reached, state } = this.#options;
    if (!(await reached(state.sequence))) return;
    await files.remove(snapshotPath(directory, key));
    this.#active.mark();
  }

  #unpin(key: string): void {
    const round = this.#round;
    if (round === undefined) return;
    if (this.#options.pending.needs(key, round.last)) this.#due.set(key, this.#options.now());
    else round.pinned.delete(key);
    this.#advance();
  }

  #fail(cause: unknown): void {
    if (this.#failed) return;
    this.stop();
    this.#options.onFailure(PbError.from(cause, "io_error", { path: this.#options.directory }));
  }

  #relieve(): void {
    const waiting = [...this.#relieved];
    this.#relieved.clear();
    for (const resolve of waiting) resolve();
  }
}
