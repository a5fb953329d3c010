/**
 * The contract of an endpoint. One suite (`conformance/`) holds every backend to it.
 *
 * Paths are `PathText` (model/path.ts), '/'-separated, relative to the backend's root, a leading '/' is ignored;
 * "" is the root. A name is bytes: no normalisation of Unicode or case. A path with a NUL byte is
 * `invalid_path`; one that leads out of the root, through `..` or a link, is `path_escapes`: nothing is touched. Errors name
 * paths as the call did: with a leading '/' where it had one.
 *
 * Every method may be called from several places at once. Each takes an AbortSignal and checks it first;
 * after an abort it rejects with `aborted` and leaves no listener behind. Nothing is retried inside a backend:
 * an error says whether it is retryable, and the caller decides.
 */
import type { Job } from "../gen/packetboat/v1/job_pb.ts";
import type { JobEvent } from "../gen/packetboat/v1/session_pb.ts";
import type { StartRequest, StartResponse } from "../gen/packetboat/v1/transfer_pb.ts";
import type { Entry } from "../model/entry.ts";
import type { PbError } from "../model/error.ts";
import type { TransferOptions, TransportChoice } from "../model/transfer.ts";
import type { NativeRoot } from "../native/root.ts";
import type { NativeSession, SessionOptions } from "../native/types.ts";
import type { ChunkAccess } from "./chunks.ts";

export type { ChunkAccess, ChunkSink, ChunkSource, Confirmed, FileMeta, KnownVersion } from "./chunks.ts";

export interface Backend extends AsyncDisposable {
  /** "local", "pb", "s3". Shown to people; nothing is decided by it. */
  readonly scheme: string;
  /** Shown in errors: a remote's name, or "". */
  readonly name: string;
  readonly capabilities: Capabilities;

  /**
   * Entries below `path` in batches of at most 1,000, a folder before its content, sorted by the bytes of the name
   * within a folder. Links are listed as links unless `follow`. Listing a file gives that one entry with path "";
   * a `path` that is itself a link to a folder lists that folder.
   * A folder that cannot be read is an element of `errors`, not the end. Streams: memory is bounded by the depth and the
   * largest folder, not by the tree.
   *
   * @throws PbError `not_found` when `path` itself is not there
   */
  list(path: string, options: ListOptions): AsyncIterable<ListBatch>;

  /** @throws PbError `not_found` */
  stat(path: string, options: { readonly follow: boolean; readonly signal: AbortSignal }): Promise<Entry>;

  /**
   * Makes a folder; true when it was not there before. With `parents` missing ones are made and an existing folder is fine.
   *
   * @throws PbError `exists`, `not_found` (a parent), `not_a_directory`, `permission_denied`, `read_only`
   */
  mkdir(
    path: string,
    options: { readonly parents: boolean; readonly mode?: number; readonly signal: AbortSignal },
  ): Promise<boolean>;

  /** Sets the mtime (default: now), making an empty file unless `create` is false (then `not_found`). */
  touch(
    path: string,
    options: { readonly mtimeNs?: bigint; readonly create: boolean; readonly signal: AbortSignal },
  ): Promise<void>;

  /**
   * Renames or moves within this backend, atomically and durably where `capabilities.atomicRename`.
   *
   * @throws PbError `exists` when the destination is there and `replace` is false; `cross_device` when only a copy would do
   */
  rename(
    from: string,
    to: string,
    options: { readonly replace: boolean; readonly signal: AbortSignal },
  ): Promise<void>;

  /** Removes a file, link or, with `recursive`, a tree; never follows a link. @throws PbError `not_empty`, `not_found` */
  remove(
    path: string,
    options: { readonly recursive: boolean; readonly signal: AbortSignal },
  ): Promise<RemoveResult>;

  /** The way by which bytes move: without entering JavaScript, where there is an engine at the endpoint. */
  readonly native: NativeAccess;

  /** Idempotent. Calls under way are aborted. */
  close(): Promise<void>;
}

export interface ListOptions {
  readonly recursive: boolean;
  /** Folder levels below `path`; 0: no bound. */
  readonly maxDepth?: number;
  readonly follow: boolean;
  /**
   * A file of at most so many bytes may have the time that a listing tells by itself, where its own would cost a request: for who reads it whole, as that
   * tells it (`ChunkAccess.readWhole`), and compares it with nothing before. Default: each has its own.
   */
  readonly listedTimesUpTo?: number;
  /** Of files only path and kind are wanted: what would cost a request for each may be left out, sizes (0) and times (0n) too. Default: all of it. */
  readonly namesOnly?: boolean;
  readonly signal: AbortSignal;
}

export interface ListBatch {
  readonly entries: readonly Entry[];
  readonly errors: readonly PbError[];
}

export interface RemoveResult {
  readonly files: number;
  readonly directories: number;
}

/** Can it? Or a reason why not, in words for people: "this server accepts no uploads". */
export type Can = true | string;

/** What an endpoint can do; the planner decides by this and never by a name. */
export interface Capabilities {
  readonly atomicRename: boolean;
  /** Has symbolic links, and makes them. */
  readonly links: Can;
  readonly permissions: boolean;
  readonly owners: boolean;
  /** Of what it gives and keeps: 1, 1_000_000 (S3 with metadata), 1_000_000_000 (HTTP, FTP). */
  readonly mtimeResolutionNs: number;
  /** Copies and moves within it need not pass here. */
  readonly serverSideCopy: boolean;
  /** May anything be changed here? */
  readonly writable: boolean;
  /** Reads at any offset, several at once. */
  readonly parallelRead: Can;
  /** Writes at any offset (or of whole blocks), several at once. */
  readonly parallelWrite: Can;
  /** A file that was written in part can be gone on with, by another process too. */
  readonly resumeWrite: Can;
  /** A reader sees what was there before, or all that is new. */
  readonly atomicReplace: Can;
  /** It confirms content by a hash of its own. */
  readonly hashes: Can;
  /** Keeps the mtime that a file is given. */
  readonly setMtime: Can;
  /** A file can be made longer. */
  readonly append: Can;
  /** Folders are things of their own, empty ones too. */
  readonly folders: Can;
  /** Tells of changes. */
  readonly watch: Can;
}

/** `root`: descriptors in this process; `session`: an engine on the other side; `chunks`: none there, JavaScript carries them. */
export type NativeAccess =
  | { readonly kind: "root"; readonly root: NativeRoot }
  | { readonly kind: "session"; readonly peer: SessionPeer }
  | { readonly kind: "chunks"; readonly chunks: ChunkAccess };

/**
 * A peer with an engine: opens data sessions and runs the far half of jobs. Implemented by backend/pb. What the far half
 * reports comes as the API's own events; a call that ends early throws the far side's `PbError`, which names the peer.
 */
export interface SessionPeer {
  readonly name: string;
  /** Equal to this machine's (daemon/host-id.ts) when device and inode numbers mean the same at both; "" where not known. */
  hostId(signal: AbortSignal): Promise<string>;
  /** Resolves when the peer has made room for it; its lanes are still on their way then, see `connected`. */
  openSession(options: OpenSessionOptions): Promise<PeerSession>;
  /** Those that it runs for this client, and what it keeps of this client's own. */
  listJobs(signal: AbortSignal): Promise<readonly Job[]>;
  /** With its id whole. @throws PbError `not_found` */
  showJob(jobId: string, signal: AbortSignal): Promise<Job>;
  /** From now on; the receipt last. Only of a job that the peer runs. */
  watchJob(jobId: string, signal: AbortSignal): AsyncIterable<StartResponse>;
  pauseJob(jobId: string, signal: AbortSignal): Promise<void>;
  /** Stops the job there and removes what is kept of it, parts too. @throws PbError `not_found` when nothing is */
  cancelJob(jobId: string, signal: AbortSignal): Promise<void>;
  /** As cancel, and the record goes too. */
  forgetJob(jobId: string, signal: AbortSignal): Promise<void>;
  /** Runs a transfer there, between places that the peer itself knows; the last event is the receipt. */
  start(request: StartRequest, signal: AbortSignal): AsyncIterable<StartResponse>;
  /** The same, and nobody looks on: `watchJob`. */
  createJob(
    request: StartRequest,
    signal: AbortSignal,
  ): Promise<{ readonly id: string; readonly resumed: boolean }>;
  /** Copies within the peer, through its own engine; the last event is the receipt. Needs `serverSideCopy`. */
  copy(options: FarCopyOptions): AsyncIterable<StartResponse>;
}

export interface OpenSessionOptions extends SessionOptions {
  readonly transport: TransportChoice;
  readonly chunkBytes: number;
  readonly signal: AbortSignal;
}

/** A data session and the far half of its jobs. */
export interface PeerSession extends AsyncDisposable {
  /** This end of it, once the first lane is up. Jobs of the far half may be begun before. @throws PbError `unreachable` */
  readonly connected: Promise<NativeSession>;
  readonly connectionId: bigint;
  /** As many as both sides allow. */
  readonly lanes: number;
  /** The far engine receives; `ready` comes before anything may be sent. Ends with `done`. */
  receive(options: FarReceiveOptions): AsyncIterable<JobEvent>;
  /** The far engine lists, filters and sends; the job must exist here before. Ends with `done`. */
  send(options: FarSendOptions): AsyncIterable<JobEvent>;
  /**
   * Idempotent. The far half is told, and its answer is not waited for. With `finished` the far side need not keep that job's
   * checkpoint any more.
   */
  close(options?: { readonly finished?: string }): Promise<void>;
}

/** Under which name a receiver keeps what arrives, so that it can be resumed. */
export interface FarKeeping {
  /** A UUID; "": nothing is kept. */
  readonly jobId: string;
  /** Go on from what is kept under it; else that is discarded first. */
  readonly resume: boolean;
}

export interface FarReceiveOptions extends FarKeeping {
  readonly job: number;
  /** `PathText` at the peer. */
  readonly destination: string;
  /** `destination` is the name of the one file to come. */
  readonly exactName: boolean;
  /** The sources go when they have arrived. */
  readonly move: boolean;
  readonly options: TransferOptions;
  /** Aborting it aborts the far job. */
  readonly signal: AbortSignal;
}

export interface FarSendOptions {
  readonly job: number;
  /** `PathText` at the peer. */
  readonly sources: readonly string[];
  /** Each source arrives under its own name; otherwise a folder's contents, or a file with the target "". */
  readonly several: boolean;
  /** The destination is a folder that is there: its own mode and times stay as they are. */
  readonly intoExisting: boolean;
  /** Remove each source once the receiver has it durable. */
  readonly move: boolean;
  readonly options: TransferOptions;
  readonly signal: AbortSignal;
}

export interface FarCopyOptions extends FarKeeping {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly several: boolean;
  readonly move: boolean;
  readonly dryRun: boolean;
  readonly options: TransferOptions;
  readonly signal: AbortSignal;
}
