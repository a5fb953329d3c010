/**
 * What the addon offers, as the rest of the house sees it: plain objects and handles with an explicit close.
 * `addon.ts` alone imports the addon; `root.ts` (file system) and `session.ts` (transfers) wrap it.
 */

import type { CheckpointBatch, PartRecord } from "../model/checkpoint.ts";
import type { EntryKind } from "../model/entry.ts";
import type { PbError } from "../model/error.ts";
import type { Overwrite, TransportChoice, TransportUsed } from "../model/transfer.ts";
import type { Pump } from "./pump.ts";
import type { NativeRoot } from "./root.ts";

/** Both ends' contribution to a session's keys; from SessionService.Open. */
export interface SessionKeys {
  readonly connectionId: bigint;
  /** 32 bytes each. */
  readonly clientRandom: Uint8Array;
  readonly serverRandom: Uint8Array;
  /** 1 AES-128-GCM, 2 ChaCha20-Poly1305. */
  readonly suite: number;
}

export interface SessionOptions {
  readonly seal: boolean;
  /** 1..16 */
  readonly lanes: number;
  /** Buffers of this side, bytes. */
  readonly memoryBytes: number;
  /** What this side may send, bytes per second; 0: unlimited. */
  readonly limitBytesPerSecond: number;
  readonly controller: "" | "bbr" | "cubic" | "ledbat";
  /** All lanes work from the start; else one works on a long path while the processors are fast enough. */
  readonly allLanes?: boolean;
  /** Keep what the lanes go through, for `NativeSession.takeTrace`. */
  readonly trace?: boolean;
  /** What this side remembers of the path to the peer, for what it sends. */
  readonly remembered?: PathMemory | undefined;
}

/** What a path was like in one direction; used while its round trip is within a factor of two of what it was. */
export interface PathMemory {
  readonly minRttNs: number;
  /** What all lanes together carried when the path was full. */
  readonly rateBytesPerSecond: number;
  /** 0 to 1. */
  readonly lossRate: number;
}

export interface ConnectOptions extends SessionOptions {
  readonly host: string;
  readonly port: number;
  readonly keys: SessionKeys;
  readonly transport: TransportChoice;
}

export interface RegisterOptions extends SessionOptions {
  readonly keys: SessionKeys;
}

export interface ListenOptions {
  /** An IP address; "::" or "0.0.0.0" for all. */
  readonly host: string;
  /** 0: chosen by the kernel. */
  readonly port: number;
  /** A TCP connection that is not a data lane (TLS): ownership of the descriptor passes to the callee. */
  readonly onStream: (fd: number, peer: string) => void;
}

/** One port for UDP data, TCP data lanes and, through `onStream`, everything else over TCP. */
export interface NativeListener extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Prepares a session; lanes of the peer that prove its keys join it. */
  register(options: RegisterOptions): NativeSession;
  close(): Promise<void>;
}

/** One end of a session. Carries any number of jobs in both directions. */
export interface NativeSession extends AsyncDisposable {
  /** Absent on a server until the first lane is up. */
  readonly transport: TransportUsed | undefined;
  /** E.g. why `auto` fell back to TCP. */
  readonly note: string | undefined;
  send(options: SendJobOptions): SendJob;
  receive(options: ReceiveJobOptions): ReceiveJob;
  /** The peer's receiving job is ready, as was heard elsewhere than on the session: a sending job of the number begins at once. */
  accepted(job: number, accepts: Accepts): void;
  /** The same of sources and of files that JavaScript reads and writes (pump.ts); `roots` is empty. */
  sendPumped(options: SendJobOptions, pump: Pump): SendJob;
  receivePumped(options: PumpedReceiveOptions, pump: Pump): Omit<ReceiveJob, "accepts">;
  /** The newest samples of all lanes. */
  samples(): LaneSample[];
  /** Payload bytes that processors of this side copied since the last call, by step (native/pb-io/src/copies.rs). */
  takeCopied(): Copied[];
  /** In a session that was opened with `trace`; else empty. */
  takeTrace(): SessionTrace;
  /** Resolves when the session has ended, with the reason unless it was `close()`. */
  readonly closed: Promise<PbError | undefined>;
  /** At once while a job runs, or when the peer has everything; else what is queued may take up to 5 s to leave. */
  close(): Promise<void>;
  /** Ends that wait: the peer has ended the session too, or is not there. */
  abandon(): void;
}

export interface SendJobOptions {
  /** Names the job within the session; the same number at the receiver. */
  readonly job: number;
  /** Where sources are; `SendEntry.root` indexes this list. */
  readonly roots: readonly NativeRoot[];
  /** Power of two, 64 KiB..1 MiB; 0: chosen. */
  readonly chunkBytes: number;
  /** Large files in flight; 0: chosen. */
  readonly parallelFiles: number;
  readonly follow: boolean;
  /** Remove each source file when the receiver has it durable and it has not changed since. */
  readonly removeSources: boolean;
  /** A line of JSON for each file that arrived: path, size, blake3. */
  readonly manifestFile?: string;
  /** At most ten times a second, and once at the end. */
  readonly onProgress: (progress: JobProgress) => void;
}

export interface SendEntry {
  /** Index into `SendJobOptions.roots`; for `sourceFd` entries ignored. */
  readonly root: number;
  /** `PathText` of the source below its root. */
  readonly source: string;
  /** `PathText` at the destination, relative to its base; "" is the base itself (exact name). */
  readonly target: string;
  readonly kind: EntryKind;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the source as it was listed; part of what makes it the same for a later run. Absent where the listing has none. */
  readonly inode?: bigint;
  /** What `inode` is the number of, for a pump (`PumpSubject.version`); the engine has no use for it. */
  readonly version?: string;
  readonly linkTarget?: string;
  /** Read this descriptor to its end instead of a path (stdin); size unknown. */
  readonly sourceFd?: number;
}

export interface SendJob {
  /** Queues entries; resolves when the engine has room for more. A directory comes before its content. At most 4,096 a call. */
  push(entries: readonly SendEntry[]): Promise<void>;
  /** Nothing more comes. */
  finish(): void;
  abort(reason: string): void;
  readonly done: Promise<JobResult>;
}

export interface ReceiveJobOptions {
  readonly job: number;
  /** Everything is written below this root; unused with `destinationFd`. */
  readonly root: NativeRoot;
  /** `PathText` below the root; parents are created. */
  readonly base: string;
  /** `base` is the file's own name, not a folder. */
  readonly exactName: boolean;
  readonly overwrite: Overwrite;
  readonly fsync: boolean;
  readonly perms: boolean;
  readonly owner: boolean;
  readonly manifestFile?: string;
  /** Write the one file's bytes, in order, to this descriptor (stdout). */
  readonly destinationFd?: number;
  /** Verify everything, write nothing. */
  readonly discard?: boolean;
  /** Each file is read again and compared before it gets its name. */
  readonly reread?: boolean;
  readonly onProgress: (progress: JobProgress) => void;
  /** Absent: nothing is recorded, and unfinished files go when the job ends. Not used with `destinationFd`. */
  readonly checkpoint?: ReceiveCheckpoint;
}

/** What a receiver wants of its sender: the note ACCEPT of docs/PROTOCOL.md. */
export interface Accepts {
  /** Small files and beginnings of large ones may come without an offer before. */
  readonly push: boolean;
  /** Holes must be sent as data. */
  readonly dense: boolean;
}

export interface PumpedReceiveOptions extends Pick<ReceiveJobOptions, "job" | "manifestFile" | "onProgress"> {
  /** One file comes, and `PumpAsk.subject.path` is "". */
  readonly exactName: boolean;
  /** The sender need not ask which files are wanted: nothing is there, or all is to be written over. */
  readonly push: boolean;
  /** A part's `temporary` is the state of its sink. */
  readonly checkpoint?: ReceiveCheckpoint;
}

export interface ReceiveJob {
  readonly accepts: Accepts;
  /**
   * `keep`: what the checkpoint knows of unfinished files stays for a later run, as it does when the job fails; default
   * false. Said again it is not waited for records that are still outstanding.
   */
  abort(reason: string, options?: { readonly keep: boolean }): void;
  /**
   * The job ends as "failed" for this, of which the sender hears; what the checkpoint knows of stays. It is not among `allErrors`.
   * Said again as `abort` is.
   */
  failFor(error: PbError): void;
  /** This batch, and those before it, are on stable storage: the results of its files may be said. */
  confirm(batch: number): void;
  readonly done: Promise<JobResult>;
}

/** What is recorded of a receiving job, and what was recorded of earlier runs of it: docs/design/0004-checkpoints.md. */
export interface ReceiveCheckpoint {
  readonly parts: readonly PartRecord[];
  /** 16-byte file keys, concatenated: files that are finished. */
  readonly done: Uint8Array;
  /** Their root hashes, 32 bytes each, in the same order. */
  readonly hashes: Uint8Array;
  /** Written bytes between two flushes at most; usually 64 MiB. */
  readonly flushBytes: number;
  /** And time; usually 1,000. */
  readonly flushMs: number;
  /** 32 bits. In the names of what has no final name yet, `.pb-TAG-N.part` (hex): those of a job are the same in every run. */
  readonly nameTag: number;
  /**
   * Of a move: an earlier run may have placed files since then (ms since 1970) and not recorded them. With an overwrite policy that
   * keeps what is there, files that look the same are sent again, compared, and not skipped when they are equal. Absent: none did.
   */
  readonly placedSinceMs?: number;
  /**
   * One at a time: the next comes after `ReceiveJob.confirm`. What happens meanwhile is gathered into it. A batch that can't be
   * recorded: `abort`.
   */
  readonly onBatch: (batch: CheckpointBatch) => void;
  /** Everything that is to come has been announced: what is recorded late now makes the job end late. */
  readonly onEnding?: () => void;
}

/** A file that an earlier run had, whole or in part, and that was begun anew. */
export interface RedoneFile {
  /** `PathText` below the base, as in hashes. */
  readonly path: string;
  /** "source_changed", "destination_changed", "part_lost", "part_changed", "part_unusable": Redone in native/pb-io/src/job/mod.rs */
  readonly reason: string;
}

/** The counters of a job. */
export interface JobCounters {
  /** Payload bytes of files: verified at the receiver. */
  readonly bytes: number;
  /** Pushed (sender) or announced (receiver) so far. */
  readonly totalBytes: number;
  readonly files: number;
  readonly totalFiles: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly skippedFiles: number;
  readonly skippedBytes: number;
  readonly failedFiles: number;
  readonly chunksRefetched: number;
  readonly removedSources: number;
  /** Files of which an earlier run had all or a part: it was not sent again. Those it had whole are in `files`, too. */
  readonly resumedFiles: number;
  /** What was not sent again; part of `bytes`. */
  readonly resumedBytes: number;
  /** Files that an earlier run had, and whose source, part or destination had changed since. */
  readonly redoneFiles: number;
}

export interface JobProgress extends JobCounters {
  /** New since the last call, of the first 1,000: which, and why. Known to the receiving end. */
  readonly redone: readonly RedoneFile[];
  /** New since the last call, at most 100 a call. */
  readonly errors: readonly PbError[];
}

export interface JobResult extends JobProgress {
  /** "done": everything that was asked; "partial": some files failed; "failed": the job could not go on; "aborted". */
  readonly state: "done" | "partial" | "failed" | "aborted";
  /** The first 1,000 files. */
  readonly hashes: readonly { readonly path: string; readonly size: number; readonly blake3: Uint8Array }[];
  /** All errors, at most 1,000; `failedFiles` counts them all. */
  readonly allErrors: readonly PbError[];
}

/** See PathSample in native/pb-proto/src/sample.rs; times in nanoseconds, rates in bytes per second. */
export interface LaneSample {
  readonly lane: number;
  readonly minRttNs: number;
  readonly smoothedRttNs: number;
  readonly deliveryRate: number;
  readonly pacingRate: number;
  readonly bytesInFlight: number;
  readonly congestionWindow: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly packetsSpuriouslyLost: number;
  readonly packetsReordered: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly bytesRetransmitted: number;
  /** Sent again to hear whether it arrived: nothing was believed lost. */
  readonly bytesProbed: number;
  /** What the path was seen to carry when it was full; 0 while it never was. */
  readonly pathRate: number;
  /** The lane began from what was remembered of the path. */
  readonly warm: boolean;
  readonly peerSocketDrops: number;
  readonly ecnCe: number;
  readonly datagramSize: number;
  readonly limitedBy: "application" | "cpu" | "congestion" | "receiver" | "pacing";
  readonly applicationNs: number;
  /** Held up by this side's processors: in what it sends, and in what it receives. */
  readonly cpuNs: number;
  readonly congestionNs: number;
  readonly receiverNs: number;
  readonly pacingNs: number;
  /** The congestion controller's: "slow_start", "probe_bw_up", ...; "": not known. */
  readonly phase: string;
}

export interface Copied {
  /** "read", "bundle", "seal", "packet", "send"; "receive", "shift", "open", "place", "write" */
  readonly step: string;
  readonly bytes: number;
}

/** What a session's lanes went through since the last call. */
export interface SessionTrace {
  readonly events: readonly SessionTraceEvent[];
  /** Events of the whole session that nobody fetched in time. */
  readonly dropped: number;
}

export interface SessionTraceEvent {
  /** CLOCK_MONOTONIC, nanoseconds: comparable with `process.hrtime`. */
  readonly atNs: number;
  readonly lane: number;
  readonly what:
    | { readonly kind: "up"; readonly transport: string }
    | { readonly kind: "sample"; readonly sample: LaneSample }
    /** `reason` is "" where the session ended as it should. */
    | { readonly kind: "down"; readonly reason: string };
}

/** Entry points of `session.ts`. */
export interface NativeEngine {
  /** @throws PbError `address_in_use`, `permission_denied`, `invalid_argument` */
  listen(options: ListenOptions): Promise<NativeListener>;
  /** @throws PbError `unreachable`, `timeout`, `unauthenticated` */
  connect(options: ConnectOptions, signal: AbortSignal): Promise<NativeSession>;
  /** Two ends within this process, for copies from local to local. */
  pair(options: {
    readonly memoryBytes: number;
    readonly limitBytesPerSecond: number;
  }): readonly [NativeSession, NativeSession];
  /**
   * Removes parts of a job that will not be resumed, as far as they still are what was recorded (name, device, inode, owner, one
   * link); how many were. `root`, `base` and `exactName` are those of the job. What is not there is no error.
   *
   * @throws PbError of the folder: `permission_denied`, `not_a_directory`, `path_escapes`
   */
  removeParts(options: RemovePartsOptions): Promise<number>;
  /** BLAKE3 of what JavaScript reads from its beginning to its end. */
  hasher(): Hasher;
}

export interface Hasher {
  update(bytes: Uint8Array): void;
  /** 32 bytes. */
  root(): Uint8Array;
}

export interface RemovePartsOptions {
  readonly root: NativeRoot;
  /** `PathText` below the root. */
  readonly base: string;
  readonly exactName: boolean;
  readonly parts: readonly PartRecord[];
}

/** Memory of the engine that waits for content of a file (`PumpCalls.memory`); only a `Fetcher` can do something with it. */
export interface FillableMemory {
  /** Where in the file what is not filled yet begins. */
  readonly offset: number;
  /** Bytes from there. */
  readonly length: number;
  /** A copy of what is in it, once it is filled. */
  bytes(): Uint8Array;
}

/** Memory of the engine with content of a file that is to be written (`PumpCalls.memory`); only a `Fetcher` can do something with it. */
export interface SendableMemory {
  /** Where in the file it begins. */
  readonly offset: number;
  /** Bytes from there. */
  readonly length: number;
}

export interface FetcherOptions {
  /** Until a connection is there; until the head of an answer; between two pieces of it. */
  readonly connectMs: number;
  readonly headMs: number;
  readonly bodyMs: number;
  /** Connections to one server that wait for more to be asked. */
  readonly idle: number;
  /** PEM; absent: those that this process trusts. */
  readonly authorities?: string | undefined;
}

/** A GET. */
export interface FetchRequest {
  /** "http://HOST:PORT" or "https://…"; the port may be absent. */
  readonly origin: string;
  /** Path and query, encoded. */
  readonly path: string;
  /** Without `host`. */
  readonly headers: Readonly<Record<string, string>>;
  /** With this status the content is what is wanted: 200 or 206. */
  readonly status: number;
  /** As long as the content has to be. What of it was filled when the content broke off is not in it any more. */
  readonly memory: FillableMemory;
  /** Throws where a head of that status is not of the answer that was asked for: nothing is filled then. */
  readonly check: (head: FetchedHead) => void;
  readonly signal: AbortSignal;
}

/** A GET of all of a small file. */
export interface SmallRequest extends Pick<FetchRequest, "origin" | "path" | "headers"> {
  /** Of one call, which is not answered by it; just as long as the file. */
  readonly memory: FillableMemory;
}

export interface SmallReply extends FetchedHead {
  /** What came and had no place. */
  readonly text: Buffer;
}

/** Something small, and its answer. */
export interface ExchangeRequest extends Pick<FetchRequest, "origin" | "path" | "headers"> {
  readonly method: "HEAD" | "PUT";
  /** With its length among the headers. */
  readonly body?: Uint8Array | undefined;
}

export interface FetchedHead {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[]>>;
}

/**
 * "filled": all memory, and calls are answered as theirs is. "refused": another status, and what the server said about it, at most 1 MiB. "unsuited": this server is to be asked in
 * another way: it can't be reached, is not trusted, gives no length or another, speaks no HTTP/1.1.
 */
export type Fetched =
  | { readonly kind: "filled" }
  | ({ readonly kind: "refused"; readonly text: Buffer } & FetchedHead)
  | { readonly kind: "unsuited"; readonly why: string };

/** A request with content. The memory stays with its calls: the same may be sent again, and who sent it answers them. */
export interface SendRequest extends Pick<FetchRequest, "origin" | "path" | "headers" | "signal"> {
  readonly method: string;
  readonly memory: SendableMemory;
}

/** Of content that comes in pieces. `headers` have its length. */
export type StreamRequest = Omit<SendRequest, "memory">;

/** "answered": what the server said, of its text at most 1 MiB; it may have said so before it had all. "unsuited": as of `Fetched`. */
export type Sent =
  | ({ readonly kind: "answered"; readonly text: Buffer } & FetchedHead)
  | { readonly kind: "unsuited"; readonly why: string };

export interface SendStream {
  /** One after the other. False: the connection has not taken it all, and `answer` tells why, or will. */
  push(memory: SendableMemory): Promise<boolean>;
  /** That was all of it. */
  finish(): void;
  /** Rejects as `Fetcher.send` does. */
  readonly answer: Promise<Sent>;
}

export interface SumsRequest extends Pick<FetchRequest, "origin" | "signal"> {
  readonly memory: SendableMemory;
  readonly sha256: boolean;
}

/** Of content. */
export interface Sums {
  /** 4 bytes, big-endian. */
  readonly crc32: Buffer;
  /** 32 bytes, where it was asked for; else none. */
  readonly sha256: Buffer;
}

/** A connection in clear on which nothing comes but content, such as FTP's for data. */
export interface Intake {
  /** @throws PbError `unreachable`, `timeout`, `aborted` */
  readonly connected: Promise<void>;
  /**
   * What comes next fills the memory, once there is a connection: any number at once, in the order of these calls, each call for memory answered as its memory is full. "ended": the
   * other side closed before. What was filled then is not in the memory any more, and nothing more comes for anybody; so it is when it throws.
   *
   * With `last` the other side has to close behind it, else there is "more". The last call for memory is answered when the promise that it gives is fulfilled; whatever that rejects with, this does.
   *
   * @throws PbError `connection_lost`, `timeout` (nothing came for `bodyMs`)
   */
  fill(memory: FillableMemory, last?: () => Promise<unknown>): Promise<"filled" | "ended" | "more">;
  /** At once. Idempotent. */
  close(): void;
}

/** Moves content between servers and memory of the engine, on threads of its own. */
export interface Fetcher {
  /** Any number at once. @throws PbError `aborted`, `connection_lost`, `timeout`; what `check` throws */
  fetch(request: FetchRequest): Promise<Fetched>;
  /** Any number at once. @throws PbError `aborted`; `connection_lost`, `timeout`: the server may have it all the same */
  send(request: SendRequest): Promise<Sent>;
  /** Begins to send what comes in pieces. */
  stream(request: StreamRequest): SendStream;
  /** What a server is told beforehand of content that it is sent. Undefined: it was not suited, a moment ago. @throws PbError `aborted` */
  sums(request: SumsRequest): Promise<Sums | undefined>;
  /** Connects to an address. */
  receive(from: { readonly host: string; readonly port: number }): Intake;
  /** Any number at once. Filled with a 200, and as it was with any other status. Undefined: to be asked in another way. */
  small(request: SmallRequest): Promise<SmallReply | undefined>;
  /** Any number at once: what changes nothing when it is asked twice. Undefined: to be asked in another way. */
  exchange(request: ExchangeRequest): Promise<SmallReply | undefined>;
  /** Opens so many connections ahead, as far as there are not as many that wait. Fails never: what is asked later finds out. */
  warm(origin: string, connections: number): void;
  /** Ends what is under way. Idempotent. */
  close(): void;
}
