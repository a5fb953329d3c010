/** When the checkpoint of one job does what. Defaults in `DEFAULT_LIMITS`; tests take smaller ones. */
export interface CheckpointLimits {
  /** A file's snapshot is due after so many updates, */
  readonly snapshotUpdates: number;
  /** or so long after its first update since the last, ms, */
  readonly snapshotMs: number;
  /** but a file's snapshots take no more than this of the disk. */
  readonly snapshotBytesPerSecond: number;
  /** A generation of the journal that is longer is sealed, and goes when snapshots and index cover it. */
  readonly generationBytes: number;
  /** So much sealed journal that is not covered yet makes record() wait. */
  readonly uncoveredBytes: number;
  /** Workers that write snapshots: the first at once, */
  readonly flushWorkers: number;
  /** one more when a snapshot that is due has waited so long, ms. */
  readonly lagMs: number;
  /**
   * Commits come so often in the long run, ms, and so many more at once: what waits meanwhile is joined. A commit costs CPU time however
   * small it is, and a fast disk would take thousands a second.
   */
  readonly commitMs: number;
  readonly commitBurst: number;
  /** Batches are joined to writes of about this size. */
  readonly groupBytes: number;
}

const MIB = 1 << 20;

export const DEFAULT_LIMITS: CheckpointLimits = {
  snapshotUpdates: 10,
  snapshotMs: 5_000,
  // A snapshot of 32 MiB (a million chunks) every 8 s instead of every 5 s.
  snapshotBytesPerSecond: 4 * MIB,
  // 35,000 finished files, or 128 GiB of chunks of 1 MiB; replayed in a few ms.
  generationBytes: 4 * MIB,
  uncoveredBytes: 32 * MIB,
  // libuv has 4 threads for files; one is left for the journal, whose sync everybody waits for.
  flushWorkers: 3,
  lagMs: 1_000,
  // 25 a second at 0.27 ms of CPU time (docs/design/0004): 0.7 % of a core. Short jobs end before the burst does.
  commitMs: 40,
  commitBurst: 10,
  groupBytes: 4 * MIB,
};
