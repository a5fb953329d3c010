import type { ShardedMap } from "./sharded-map.ts";
import type { FileEntry } from "./state.ts";

/** What only the journal has of one file. */
interface Unflushed {
  /** Sequence of the first such update; 0: none. Infinity is never used. */
  since: number;
  sinceMs: number;
  updates: number;
  /** While a snapshot is written: its own `since`, as it is not on disk yet; 0: none is written. */
  writing: number;
}

export interface DueRule {
  readonly snapshotUpdates: number;
  readonly snapshotMs: number;
  readonly snapshotBytesPerSecond: number;
}

/** Which files the journal is ahead of: updated ones without a snapshot, and snapshots of files that are no more. */
export class Pending {
  readonly #files: ShardedMap<FileEntry>;
  readonly #unflushed = new Map<string, Unflushed>();
  /** Snapshots on disk: when and how large. */
  readonly #onDisk = new Map<string, { atMs: number; bytes: number }>();
  #diskBytes = 0;

  constructor(files: ShardedMap<FileEntry>) {
    this.#files = files;
  }

  /** Sum of the sizes of the snapshots. */
  get snapshotBytes(): number {
    return this.#diskBytes;
  }

  isOnDisk(key: string): boolean {
    return this.#onDisk.has(key);
  }

  isLive(key: string): boolean {
    return this.#files.get(key) !== undefined;
  }

  /** A file was updated, or is no more, by the batch `sequence`. */
  touch(key: string, sequence: number, nowMs: number): void {
    const known = this.#unflushed.get(key);
    if (known === undefined) {
      this.#unflushed.set(key, { since: sequence, sinceMs: nowMs, updates: 1, writing: 0 });
      return;
    }
    if (known.since === 0) {
      known.since = sequence;
      known.sinceMs = nowMs;
    }
    known.updates += 1;
  }

  /** Its state is taken now; `settle` says what became of it. */
  begin(key: string): void {
    const known = this.#unflushed.get(key);
    if (known === undefined) return;
    known.writing = known.since;
    known.since = 0;
    known.updates = 0;
  }

  /** What was taken at `begin` is on disk under its name (`bytes`), or the name is removed (undefined). */
  settle(key: string, bytes: number | undefined, nowMs: number): void {
    const known = this.#unflushed.get(key);
    if (known) known.writing = 0;
    if (known?.since === 0) this.#unflushed.delete(key);
    this.setOnDisk(key, bytes, nowMs);
  }

  /** It was not written: what was taken counts as unflushed again. */
  giveUp(key: string): void {
    const known = this.#unflushed.get(key);
    if (known === undefined || known.writing === 0) return;
    known.since = known.writing;
    known.writing = 0;
  }

  setOnDisk(key: string, bytes: number | undefined, atMs: number): void {
    this.#diskBytes += (bytes ?? 0) - (this.#onDisk.get(key)?.bytes ?? 0);
    if (bytes === undefined) this.#onDisk.delete(key);
    else this.#onDisk.set(key, { atMs, bytes });
  }

  /** Does the journal up to `sequence` hold something of this file that is nowhere else? */
  needs(key: string, sequence: number): boolean {
    const known = this.#unflushed.get(key);
    if (known === undefined) return false;
    const first = known.writing || known.since;
    return first > 0 && first <= sequence;
  }

  /** Files that need the journal up to `sequence`. */
  needing(sequence: number): string[] {
    return [...this.#unflushed.keys()].filter((key) => this.needs(key, sequence));
  }

  has(key: string): boolean {
    return (this.#unflushed.get(key)?.since ?? 0) > 0;
  }

  isDue(key: string, rule: DueRule, nowMs: number): boolean {
    const known = this.#unflushed.get(key);
    if (known === undefined || known.since === 0) return false;
    if (!this.isLive(key)) return true;
    const disk = this.#onDisk.get(key);
    const restMs = ((disk?.bytes ?? 0) / rule.snapshotBytesPerSecond) * 1_000;
    if (disk && nowMs - disk.atMs < restMs) return false;
    return known.updates >= rule.snapshotUpdates || nowMs - known.sinceMs >= rule.snapshotMs;
  }

  due(rule: DueRule, nowMs: number): string[] {
    return [...this.#unflushed.keys()].filter((key) => this.isDue(key, rule, nowMs));
  }

  /** When the oldest update was made that only the journal has; undefined: there is none. */
  oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const { sinceMs } of this.#unflushed.values()) oldest = Math.min(oldest ?? sinceMs, sinceMs);
    return oldest;
  }
}
