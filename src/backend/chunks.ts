import type { FillableMemory, SendableMemory } from "../native/types.ts";

/**
 * How bytes move at an endpoint that has no engine: JavaScript carries them between its protocol and the engine of this process,
 * which hashes, seals, verifies, limits, resumes and reports as for any other end (docs/design/0008).
 *
 * Paths are as in backend.ts. Each method takes an AbortSignal and checks it first. **Memory:** a buffer that is passed in may be used until the
 * promise settles and not after: whatever a library may still do with it once a call has failed, is copied first. **Retries:** none inside;
 * errors say `retryable`, and `retryAfterMs` where the endpoint said it; `wrap/retrying.ts` repeats single calls, so each call may be repeated.
 * **Concurrency:** as many calls at once as `maxCalls` says, over as many files as there are; how many is found by
 * run/tuning.ts, and `--lanes`, `--parallel-files` fix it.
 */
export interface ChunkAccess {
  /** Calls at once that the endpoint, or a polite guest at it, can bear; connections are opened as they are needed. */
  readonly maxCalls: number;

  /** Large files that are best written at once, where each holds a connection from its first write to its last. Absent: as many as the caller likes. */
  readonly maxFiles?: number;

  /**
   * A file of so many bytes is about to be read, or (0) something: a connection that is opened now is there when the first request goes out. Fails never;
   * absent: nothing is gained by it.
   */
  warm?(bytes: number): void;

  /**
   * Opens a file for reading; no byte of it need move yet, so that opening costs no round trip where the listing has told enough (`known`).
   *
   * @throws PbError `not_found`, `permission_denied`, `is_a_directory`; `source_changed` when it is not the version of `known`
   */
  open(path: string, options: OpenChunksOptions): Promise<ChunkSource>;

  /**
   * Reads a small file (at most 256 KiB) whole, in one request where there is one for it: it is `open`, `read`, `finish` and closing.
   * `into` is as long as the `known` size; more in the file than that is `source_changed`.
   *
   * @throws as `open` and `read`
   */
  readWhole(path: string, into: Uint8Array, options: OpenChunksOptions): Promise<WholeRead>;

  /**
   * As `readWhole`, into memory that only the engine reaches (`fetching.ts`), of one call, which is not answered by it. Undefined: not in this way, `readWhole` can. Absent: the
   * endpoint's protocol is spoken by JavaScript alone.
   */
  readWholeInto?(
    path: string,
    memory: FillableMemory,
    options: OpenChunksOptions,
  ): Promise<WholeRead | undefined>;

  /**
   * Begins, or with `resume` goes on with, the writing of one file, under a name that no reader takes for the final one where the endpoint
   * can do that. Missing parent folders are made. What has the final name is replaced at `commit`, and stays as it is until then where
   * `capabilities.atomicReplace`.
   *
   * @throws PbError `permission_denied`, `no_space`, `read_only`, `is_a_directory`; `corrupt_checkpoint` when `resume` can't be
   *   gone on with (what it names is gone): the caller begins anew
   */
  create(path: string, options: CreateChunksOptions): Promise<ChunkSink>;

  /** A small file (at most 256 KiB) whole: `create`, `write` and `commit`, in one request where there is one for it (PUT). Missing parents are made. */
  writeWhole(path: string, bytes: Uint8Array, options: WriteWholeOptions): Promise<Confirmed>;

  /**
   * Removes what a process that was killed began for this file, and did not live to record (`ChunkSink.leaves`), as far as that can be told from what
   * others write there: nothing that holds a byte. Absent: what is begun has a name with `nameTag`, and is found by it.
   */
  removeBegun?(path: string, options: RemoveBegunOptions): Promise<void>;

  /** What is to be of a folder that is complete: times and mode, as far as they can be kept. Absent: nothing can. */
  setFolder?(path: string, options: { readonly meta: FileMeta; readonly signal: AbortSignal }): Promise<void>;

  /**
   * Makes a symbolic link. A file or link of that name is replaced, in one step where `capabilities.atomicReplace`; missing parents are made. What it
   * points to is text, and looked at by nobody. Absent: `capabilities.links` says why.
   *
   * @throws PbError `is_a_directory`; `unsupported` where only the server could tell that it has no links
   */
  link?(path: string, options: LinkOptions): Promise<void>;
}

export interface RemoveBegunOptions {
  /** When the job began, ms since 1970: what is older is not its. */
  readonly sinceMs: number;
  /** When those that may have been killed were over; what is younger is not theirs. Default: now. */
  readonly untilMs?: number;
  readonly signal: AbortSignal;
}

export interface LinkOptions {
  /** `PathText`: any bytes. */
  readonly target: string;
  /** Its own; kept where that can be. */
  readonly mtimeNs?: bigint;
  readonly signal: AbortSignal;
}

/** What the listing said. */
export interface KnownVersion {
  readonly size: number;
  readonly mtimeNs: bigint;
  /** `Entry.version`. */
  readonly version?: string;
}

export interface OpenChunksOptions {
  readonly known: KnownVersion;
  readonly signal: AbortSignal;
}

export interface WholeRead extends KnownVersion {
  readonly confirmed: Confirmed;
}

export interface ChunkSource extends AsyncDisposable {
  /** Of what was opened. What the endpoint can't say without a request is as in `known`; a read that shows otherwise is `source_changed`. */
  readonly now: KnownVersion;
  /** False: ascending reads, one after the other, are a single stream, and any other read costs a new one from the beginning. */
  readonly parallel: boolean;
  /** Reads that follow each other are best gathered into one of up to so many bytes: a request costs the same whatever its length. Absent: they are not. */
  readonly gatherBytes?: number;
  /**
   * Fills all of `into` from `offset`; the caller never reads beyond the size. Any number at once when `parallel`, else one.
   *
   * @throws PbError `source_changed` when it is another version by now (If-Range, If-Match, size, mtime) or ends before;
   *   `connection_lost`, `timeout`: the same read may succeed
   */
  read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void>;
  /**
   * As `read`, into memory that only the engine reaches (`fetching.ts`), the calls for it answered as it is filled. When it throws, what was filled is not in the
   * memory any more: the same call goes on with the rest. False: not in this way; `read` can. Absent: the endpoint's protocol is spoken by JavaScript alone.
   */
  readInto?(memory: FillableMemory, signal: AbortSignal): Promise<boolean>;
  /** After the last read: is it still the version that was opened? Tells what the endpoint itself could confirm of what was read. @throws PbError `source_changed`, `verification_failed` */
  finish(signal: AbortSignal): Promise<Confirmed>;
}

/** What a file is to have besides its content, as far as the endpoint's capabilities go. */
export interface FileMeta {
  readonly mtimeNs: bigint;
  /** Permission bits, 07777; undefined: the endpoint's default. */
  readonly mode?: number;
}

export interface WriteWholeOptions {
  readonly meta: FileMeta;
  /** Durable before the promise resolves, where the endpoint has a call for that (`fsync@openssh.com`). */
  readonly sync: boolean;
  /** Part of the temporary names that are chosen for it, so that what a killed process leaves is found: the same in every run of a job, 32 bits. */
  readonly nameTag?: number;
  readonly signal: AbortSignal;
}

export interface CreateChunksOptions extends WriteWholeOptions {
  /** Infinity: of a stream. What was written by `commit`, from 0 and without a gap, is the file then, and may be nothing; no block but the last is short. */
  readonly size: number;
  /** What `state` gave in an earlier life. What it does not say is written, is written again. */
  readonly resume?: Uint8Array;
}

export interface ChunkSink extends AsyncDisposable {
  /** "any": any offset, any number of calls at once. "ascending": from where it ended, one after the other. */
  readonly order: "any" | "ascending";
  /**
   * 1, or the size of an endpoint's blocks (the parts of a multipart upload): every `write` is then one whole block at a multiple of
   * this, or the last. Chosen from the file's size at `create`. With `resume` it is as it was. At most 64 MiB, unless the file needs more.
   */
  readonly blockBytes: number;
  /**
   * Of one that goes on (`resume`): the bytes that the endpoint has, as it says itself now. What an earlier life wrote and is not in here is lost. Ranges
   * that touch may be one or several.
   */
  readonly has?: readonly ByteRange[];
  /** What `state` will give, where what a killed process leaves has no name with `nameTag` in it: an upload id, kept before the first byte goes. */
  readonly leaves?: Uint8Array;
  /**
   * Writes `parts`, one after the other without a gap, at `offset`. Writing the same bytes again changes nothing. Resolves when the endpoint has
   * confirmed them (and, where it gives a hash of them, that is right).
   *
   * @throws PbError `no_space`, `permission_denied`, `verification_failed`, `connection_lost`
   */
  write(offset: number, parts: readonly Uint8Array[], signal: AbortSignal): Promise<void>;
  /**
   * As `write`, of memory that only the engine reaches (`fetching.ts`), at the memory's offset. False: not in this way; `write` can. Absent: the endpoint's protocol is
   * spoken by JavaScript alone.
   */
  writeFrom?(memory: SendableMemory, signal: AbortSignal): Promise<boolean>;
  /**
   * What a resumed `create` needs, for all that `write` has confirmed by now: an upload id, a part's name (4 KiB at most; what the endpoint can tell
   * itself, such as its list of parts, is not in it). Durable at the endpoint before it resolves, as far as that goes. Empty: this can't be resumed.
   * Of one sink always the same: another text names another upload. Not during a `write` of one that is "ascending".
   */
  state(signal: AbortSignal): Promise<Uint8Array>;
  /** Gives it the final name and its metadata. Once. @throws PbError `verification_failed` when the endpoint has something else than was written */
  commit(signal: AbortSignal): Promise<Confirmed>;
  /** Ends without the final name and removes what is there of it. Idempotent; after `commit` it does nothing. Disposing without either keeps what can be resumed. */
  discard(signal: AbortSignal): Promise<void>;
}

/** Bytes from `from` up to, and without, `to`. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/**
 * What the endpoint itself has confirmed of a file's content, strongest first: `hash`: it gave one over what it has, or compared with ours; `size`: only
 * that; `nothing`. The receipt tells which.
 */
export type Confirmed =
  | { readonly how: "hash" /** "sha256", "crc32c", "md5". */; readonly algorithm: string }
  | { readonly how: "size" }
  | { readonly how: "nothing" };
