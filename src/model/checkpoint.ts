/**
 * What is known of a receiving job that may be resumed (docs/design/0004-checkpoints.md). The engine of the receiver tells it,
 * `checkpoint/` keeps it, and a resumed job is started with it. Integers inside byte arrays are big-endian.
 */

/** From target path and source token (docs/design/0004): the same unchanged file to the same place. The first 5 are the target's alone. */
export const FILE_KEY_BYTES = 16;
/** Of one chunk: its BLAKE3 chaining value; zeros where a backend has none. */
export const CHUNK_VALUE_BYTES = 32;
/** A finished file: key 16, size u64, root hash 32. */
export const DONE_RECORD_BYTES = 56;
/** The root hash in it: its last bytes. */
export const HASH_BYTES = 32;

/** A file that is not whole yet. */
export interface PartRecord {
  /** File key, 16 bytes. */
  readonly key: Uint8Array;
  /** `PathText` below the base. */
  readonly target: string;
  /** As offered, bytes; -1: unknown. */
  readonly size: number;
  readonly chunkBytes: number;
  /** Name of the part beside the target. With `device`, `inode`, `birthNs` and `chunkBytes` it says whether two records are of one part. */
  readonly temporary: Uint8Array;
  /** Of the part; 0n where there is no such thing. */
  readonly device: bigint;
  readonly inode: bigint;
  /** When the part was made, ns since 1970; 0: not known. Inodes are used again. */
  readonly birthNs: bigint;
  /** Durable chunks: runs of [u64 first index, u32 count, count x 32-byte chaining value]. */
  readonly chunks: Uint8Array;
  /**
   * Bytes of whoever moves this file, opaque to `checkpoint/`: an upload id, ETags of parts. In a batch: what is new, appended to what
   * is held; so it frames itself, and a later statement overrules an earlier one by the reader's own rules. At most 8 MiB a file.
   */
  readonly extra?: Uint8Array;
  /** Which lane, thread or connection got it so far; for display alone. Default 0. */
  readonly worker?: number;
}

/** What became durable, told in one piece: after a crash all of it is known or nothing. Applied in the order gone, parts, done. */
export interface CheckpointBatch {
  readonly number: number;
  /**
   * Begun, or further: `chunks` holds only what became durable since the last batch. A record of another part (temporary, device, inode,
   * birthNs or chunkBytes differ) than the one known under its key replaces it.
   */
  readonly parts: readonly PartRecord[];
  /** Finished files: [key 16][size u64][root hash 32] = 56 bytes each. Already renamed, folder synced. Their parts are no more. */
  readonly done: Uint8Array;
  /** Keys (16 bytes each) of parts that are no more. */
  readonly gone: Uint8Array;
}

/** What a checkpoint belongs to; must equal what is on disk. */
export interface CheckpointBinding {
  readonly job: string;
  readonly destination: string;
}

/** Something that recovery had to pass over. None of it loses bytes: it is transferred again. */
export interface RecoveryNote {
  /**
   * "torn_tail": the last write was cut short by a crash, before it was acknowledged. The others are damage: "journal_damaged",
   * "snapshot_damaged", "index_damaged", "binding_damaged".
   */
  readonly kind: "torn_tail" | "journal_damaged" | "snapshot_damaged" | "index_damaged" | "binding_damaged";
  /** The file concerned. */
  readonly path: string;
  /** One sentence for a person: what was found and what follows. */
  readonly message: string;
  /** Bytes of that file that were passed over. */
  readonly bytes: number;
}

/** What a checkpoint knew when it was opened. */
export interface RecoveredCheckpoint {
  readonly parts: readonly PartRecord[];
  /** File keys of finished files, 16 bytes each, each once. */
  readonly done: Uint8Array;
  readonly doneFiles: number;
  /** Sum of the sizes of finished files. */
  readonly doneBytes: number;
  /** Sum of the durable chunks of `parts`. */
  readonly partBytes: number;
  readonly notes: readonly RecoveryNote[];
  /** When its job began, ms since 1970 by the clock of that time; undefined: now. */
  readonly begunMs: number | undefined;
}

/** Progress of one worker with one file; kept in memory alone. */
export interface WorkerProgress {
  readonly worker: number;
  /** Chunk indices; -1: none yet. */
  readonly lastChunkRead: number;
  readonly lastChunkWritten: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly status: "active" | "waiting" | "failed";
  /** Rises with each update of the checkpoint. */
  readonly sequence: number;
}

export interface FileProgress {
  readonly key: Uint8Array;
  readonly target: string;
  readonly size: number;
  readonly durableBytes: number;
  readonly workers: readonly WorkerProgress[];
}

/** How persistence keeps up. Rates are over the last 10 s. */
export interface CheckpointStats {
  /** Batches that wait for stable storage. */
  readonly queuedBatches: number;
  /** Files whose snapshot is due. */
  readonly queuedSnapshots: number;
  /** Age of the oldest update that is not on stable storage, ms; 0: all are. */
  readonly oldestUnsyncedMs: number;
  /** Age of the oldest update that only the journal has (no snapshot or index yet), ms; 0: none. */
  readonly oldestUnflushedMs: number;
  /** From record() to stable storage: count of batches at or under each `LATENCY_BOUNDS_MS`, and one more for the rest. Not cumulative. */
  readonly recordLatency: readonly number[];
  /** The same of snapshots and index groups. */
  readonly flushLatency: readonly number[];
  readonly bytesPerSecond: number;
  readonly syncsPerSecond: number;
  /** Since it was opened. */
  readonly bytesWritten: number;
  readonly syncs: number;
  readonly batches: number;
  readonly snapshots: number;
  /** Time that record() was held back because flushing lagged, ms. */
  readonly backpressureMs: number;
  readonly flushWorkers: number;
  readonly activeFiles: number;
  readonly doneFiles: number;
  /** Bytes of journal that snapshots and index do not cover yet. */
  readonly journalBytes: number;
}

/** Upper bounds of the latency histograms, ms: an NVMe sync (0.1) to a disk that is lost in retries (10,000). */
export const LATENCY_BOUNDS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000];

/** One job's checkpoint, open. One owner at a time. */
export interface Checkpoint extends AsyncDisposable {
  readonly recovered: RecoveredCheckpoint;
  /** Root hashes of `recovered.done`, 32 bytes each, in its order. Once: 32 MiB for a million files, which are the caller's then. */
  takeHashes(): Uint8Array;
  /**
   * Takes the batch into memory at once and resolves when it is on stable storage; late when persistence lags (backpressure). Batches
   * become durable in the order of the calls.
   * @throws PbError `no_space`, `io_error`, `fsync_failed`, `read_only`, `permission_denied`: this and every later batch is refused, what
   * was resolved before stays; `invalid_argument`: this batch alone is refused
   */
  record(batch: CheckpointBatch): Promise<void>;
  /** The job is at its end: batches are held back no more to be joined to others. */
  hurry(): void;
  /** Progress that is not durable yet; bumps memory and returns. Of a file that is not known it is ignored. */
  note(key: Uint8Array, progress: Partial<WorkerProgress> & { readonly worker: number }): void;
  /** Is the file of this key finished? Answered from memory. */
  isDone(key: Uint8Array): boolean;
  /** Files that are not whole yet. */
  progress(): FileProgress[];
  stats(): CheckpointStats;
  /**
   * Final snapshots; the journal goes. What cannot be written any more stays in the journal, so nothing is lost. With `asItIs` all of it
   * stays there: the job has ended well, and nobody will want to go on with it.
   */
  close(options?: { readonly asItIs?: boolean }): Promise<void>;
  /** The job is over: closes, and everything goes. @throws PbError when a file could not be removed */
  discard(): Promise<void>;
}
