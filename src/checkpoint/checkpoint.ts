/** The room's entry: checkpoints of receiving jobs (docs/design/0004-checkpoints.md). */

import type {
  Checkpoint,
  CheckpointBatch,
  CheckpointBinding,
  CheckpointStats,
  FileProgress,
  RecoveredCheckpoint,
  WorkerProgress,
} from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import { checkBatch, encodeBatch, invalid, keyText, MAX_EXTRA_BYTES, type StoredBatch } from "./batch.ts";
import { copied } from "./bytes.ts";
import type { DoneIndex } from "./done-index.ts";
import { namedFiles } from "./failure.ts";
import { type CheckpointFiles, nodeFiles } from "./files.ts";
import { Flusher } from "./flusher.ts";
import type { Folder } from "./folder.ts";
import { Journal } from "./journal.ts";
import { type CheckpointLimits, DEFAULT_LIMITS } from "./limits.ts";
import { Histogram, Meter } from "./meter.ts";
import { type Place, prepare } from "./open.ts";
import { Pace } from "./pace.ts";
import { Pending } from "./pending.ts";
import type { Recovery } from "./recover.ts";
import { removeCheckpoint } from "./remove.ts";
import { summary } from "./summary.ts";

export { type Inspected, inspectCheckpoint } from "./inspect.ts";

export interface OpenCheckpointOptions {
  /** Made, with its parents, when it is not there. */
  readonly directory: string;
  readonly binding: CheckpointBinding;
  /** Monotonic, ms. Default `performance.now`. */
  readonly now?: () => number;
  readonly limits?: Partial<CheckpointLimits>;
  /** For tests of faults. */
  readonly files?: CheckpointFiles;
}

/** See `Place.durable`; of each disk. */
const durableFolders = new WeakMap<CheckpointFiles, Set<string>>();

/** How often files are looked at whose snapshot may be due by time. */
const TICK_MS = 1_000;

/**
 * Opens or makes the checkpoint of one job. One owner at a time: a second one is refused (`exists`) when both come at once, and
 * otherwise the caller's business.
 * @throws PbError `wrong_job` (another job or destination), `unsupported_version`, `no_space`, `read_only`, `permission_denied`,
 * `io_error`
 */
export async function openCheckpoint(options: OpenCheckpointOptions): Promise<Checkpoint> {
  const now = options.now ?? (() => performance.now());
  const meters = { bytes: new Meter(now), syncs: new Meter(now) };
  const files = namedFiles(options.files ?? nodeFiles, {
    wrote: (bytes) => meters.bytes.add(bytes),
    synced: () => meters.syncs.add(1),
  });
  const durable = durableFolders.get(options.files ?? nodeFiles) ?? new Set<string>();
  durableFolders.set(options.files ?? nodeFiles, durable);
  const place = { files, directory: options.directory, binding: options.binding, durable };
  const prepared = await prepare(place);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const pace = new Pace({ intervalMs: limits.commitMs, burst: limits.commitBurst, now });
  const open = new OpenCheckpoint({ place, ...prepared, limits, now, pace, meters });
  await open.begin(prepared.recovery);
  return open;
}

interface Parts {
  readonly place: Place;
  readonly recovery: Recovery;
  readonly index: DoneIndex;
  readonly folder: Folder;
  readonly limits: CheckpointLimits;
  readonly now: () => number;
  readonly pace: Pace;
  readonly meters: { readonly bytes: Meter; readonly syncs: Meter };
}

class OpenCheckpoint implements Checkpoint {
  readonly recovered: RecoveredCheckpoint;
  readonly #parts: Omit<Parts, "recovery">;
  readonly #state: Recovery["state"];
  readonly #pending: Pending;
  readonly #flusher: Flusher;
  readonly #recordLatency = new Histogram();
  readonly #flushLatency = new Histogram();
  #journal!: Journal;
  #ticking: NodeJS.Timeout | undefined;
  #failure: PbError | undefined;
  #closing: Promise<void> | undefined;
  #sequence: number;
  #batches = 0;
  #backpressureMs = 0;

  constructor({ recovery, ...parts }: Parts) {
    const { place, index, folder, limits, now } = parts;
    this.#parts = parts;
    this.#state = recovery.state;
    this.#sequence = recovery.state.sequence;
    this.recovered = summary(recovery);
    this.#pending = new Pending(recovery.state.files);
    this.#flusher = new Flusher({
      ...{ files: place.files, directory: place.directory, digest: recovery.digest },
      ...{ state: recovery.state, pending: this.#pending, index, folder, limits, now },
      latency: this.#flushLatency,
      reached: (sequence) => this.#journal.reached(sequence),
      onFailure: (error) => this.#fail(error),
    });
  }

  /** Goes on with what recovery found: a new generation, and what only the older ones hold is to be brought to its place. */
  async begin(recovery: Recovery): Promise<void> {
    const { place, folder, limits, now, pace } = this.#parts;
    this.#resume(recovery);
    this.#journal = await Journal.open({
      files: place.files,
      directory: place.directory,
      folder,
      digest: recovery.digest,
      generation: recovery.newest + 1,
      previous: recovery.chain.at(-1)?.generation ?? 0,
      follows: recovery.follows,
      durable: recovery.state.sequence,
      groupBytes: limits.groupBytes,
      pace,
      generationBytes: () => Math.max(limits.generationBytes, this.#pending.snapshotBytes / 2),
      onSealed: (sealed) => this.#flusher.seal(sealed),
      now,
    });
    for (const { path, bytes } of recovery.chain) {
      this.#flusher.seal({ path, bytes: Math.max(1, bytes), last: recovery.state.sequence });
    }
    this.#ticking = setInterval(() => this.#flusher.tick(), TICK_MS);
    this.#ticking.unref();
  }

  #resume({ state, snapshots, pendingDone }: Recovery): void {
    const at = this.#parts.now();
    for (const key of snapshots.keys()) {
      this.#pending.setOnDisk(key, 0, at);
      if (state.files.get(key) === undefined) this.#pending.touch(key, state.sequence, at);
    }
    for (const [key, entry] of state.files.entries()) {
      if (snapshots.get(key) !== entry.sequence) this.#pending.touch(key, entry.sequence, at);
    }
    for (const records of pendingDone) this.#flusher.addDone(records, state.sequence);
  }

  async record(batch: CheckpointBatch): Promise<void> {
    if (this.#failure ?? this.#closing) throw this.#failure ?? closed(this.#parts.place.directory);
    checkBatch(batch);
    const { now, limits } = this.#parts;
    const began = now();
    const stored = this.#take(batch);
    const payload = encodeBatch(stored);
    this.#sequence = stored.sequence;
    const { touched, removed } = this.#state.apply(stored);
    const changed = [...touched, ...removed];
    for (const key of changed) this.#pending.touch(key, stored.sequence, began);
    this.#flusher.addDone(stored.done, stored.sequence);
    const durable = this.#journal.append(stored.sequence, payload);
    this.#flusher.consider(changed);
    try {
      await durable;
    } catch (cause) {
      this.#fail(PbError.from(cause, "io_error"));
      throw cause;
    }
    this.#recordLatency.add(now() - began);
    this.#batches += 1;
    await this.#keepPace(Math.max(limits.uncoveredBytes, 4 * this.#pending.snapshotBytes));
  }

  /** As it is stored: with its place in the order, and without a byte that the caller may change. */
  #take(batch: CheckpointBatch): StoredBatch {
    const gone = new Set<string>();
    for (let at = 0; at < batch.gone.length; at += 16) gone.add(keyText(batch.gone.subarray(at, at + 16)));
    const parts = batch.parts.map((part) => this.#state.stored(part, gone.has(keyText(part.key))));
    if (parts.some((part) => part.extraAt + part.extra.length > MAX_EXTRA_BYTES)) {
      throw invalid(`takes the extra bytes of a part above ${MAX_EXTRA_BYTES}`);
    }
    return { sequence: this.#sequence + 1, parts, done: copied(batch.done), gone: batch.gone };
  }

  async #keepPace(bytes: number): Promise<void> {
    if (this.#flusher.uncovered < bytes) return;
    const began = this.#parts.now();
    await this.#flusher.below(bytes);
    this.#backpressureMs += this.#parts.now() - began;
  }

  note(key: Uint8Array, progress: Partial<WorkerProgress> & { readonly worker: number }): void {
    this.#state.note(key, progress);
  }

  hurry(): void {
    this.#parts.pace.hurry();
  }

  takeHashes(): Uint8Array {
    return this.#state.takeHashes(this.recovered.doneFiles);
  }

  isDone(key: Uint8Array): boolean {
    return this.#state.done.has(key);
  }

  progress(): FileProgress[] {
    return this.#state.progress();
  }

  stats(): CheckpointStats {
    const { now, meters } = this.#parts;
    const age = (since: number | undefined) => (since === undefined ? 0 : now() - since);
    const { oldestDoneMs } = this.#flusher;
    const oldestFileMs = this.#pending.oldestMs();
    return {
      queuedBatches: this.#journal.queued,
      queuedSnapshots: this.#flusher.queued,
      oldestUnsyncedMs: age(this.#journal.oldest),
      oldestUnflushedMs: Math.max(age(oldestDoneMs), age(oldestFileMs)),
      recordLatency: [...this.#recordLatency.counts],
      flushLatency: [...this.#flushLatency.counts],
      bytesPerSecond: meters.bytes.perSecond(),
      syncsPerSecond: meters.syncs.perSecond(),
      bytesWritten: meters.bytes.total,
      syncs: meters.syncs.total,
      batches: this.#batches,
      snapshots: this.#flusher.snapshots,
      backpressureMs: this.#backpressureMs,
      flushWorkers: this.#flusher.workers,
      activeFiles: this.#state.files.size,
      doneFiles: this.#state.done.size,
      journalBytes: this.#flusher.uncovered + this.#journal.bytes,
    };
  }

  close({ asItIs = false }: { readonly asItIs?: boolean } = {}): Promise<void> {
    if (asItIs && this.#closing === undefined) this.#flusher.stop();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async discard(): Promise<void> {
    const { files, directory } = this.#parts.place;
    if (this.#closing === undefined) {
      this.#flusher.stop();
      this.#failure ??= closed(directory);
    }
    await this.close();
    await removeCheckpoint(files, directory);
  }

  /** What could not be written stays in the journal: a failure here loses nothing, and there is nobody to do anything about it. */
  async #close(): Promise<void> {
    clearInterval(this.#ticking);
    try {
      await this.#journal.close();
      await this.#flusher.drain();
    } catch (cause) {
      this.#fail(PbError.from(cause, "io_error", { path: this.#parts.place.directory }));
    }
    this.#flusher.stop();
    this.#failure ??= closed(this.#parts.place.directory);
    await this.#parts.index.close().catch(() => {});
  }

  #fail(error: PbError): void {
    this.#failure ??= error;
    this.#flusher.stop();
    this.#journal.fail(error);
  }
}

function closed(path: string): PbError {
  return new PbError("aborted", "the checkpoint is closed", { path });
}
