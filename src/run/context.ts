import { availableParallelism } from "node:os";
import type { FarKeeping, PeerSession } from "../backend/backend.ts";
import type { Overwrite } from "../model/transfer.ts";
import type { NativeSession, ReceiveJobOptions, SendJobOptions, SessionOptions } from "../native/types.ts";
import type { Outcome } from "./receipt.ts";
import type { Reporter } from "./report.ts";
import { type ResolvedRequest, type ResolvedSource, type RunTools, rootOf } from "./request.ts";
import type { Trace } from "./trace/trace.ts";

/** A session that is opened while both ends are still looked at: on a long path that is two round trips of the transfer. */
export interface EarlySession extends AsyncDisposable {
  /** Once, by the first attempt, whose it is then; later ones open their own. */
  take(): Promise<PeerSession> | undefined;
  /** Idempotent. Closes what nobody took. */
  close(): Promise<void>;
}

/** What a strategy works with. */
export interface RunContext {
  readonly request: ResolvedRequest;
  readonly tools: RunTools;
  readonly reporter: Reporter;
  /** Do device and inode numbers mean the same at both ends? */
  readonly oneHost: boolean;
  readonly signal: AbortSignal;
  /** From here on an error is part of the receipt; before it the transfer has not begun. */
  readonly begin: () => void;
  /** Where one was asked for. */
  readonly trace?: Trace;
  /** From 1; each has a session of its own. */
  readonly attempt: number;
  /** For the first attempt. */
  readonly early?: EarlySession;
}

/** Moves the bytes from one kind of end to another. Everything it opened is closed when it ends, however it ends. */
export type Strategy = (context: RunContext) => Promise<Outcome>;

/** A lane is a thread on each side; beyond four a path is rarely better used (measured by GridFTP's users: 2 to 8). */
const DEFAULT_LANES = 4;

export function lanesOf({ options }: Pick<ResolvedRequest, "options">): number {
  return options.lanes > 0 ? options.lanes : Math.min(DEFAULT_LANES, availableParallelism());
}

export function sessionOptions(request: Pick<ResolvedRequest, "options" | "traceFile">): SessionOptions {
  const { seal, memoryBytes, limitBytesPerSecond, controller } = request.options;
  const trace = request.traceFile !== undefined;
  const allLanes = request.options.lanes > 0;
  return { seal, lanes: lanesOf(request), allLanes, memoryBytes, limitBytesPerSecond, controller, trace };
}

export function sendOptions(
  request: Pick<ResolvedRequest, "options" | "move" | "manifestFile">,
  { job, roots }: Pick<SendJobOptions, "job" | "roots">,
): Omit<SendJobOptions, "onProgress"> {
  const { chunkBytes, parallelFiles, follow } = request.options;
  const { manifestFile } = request;
  return {
    job,
    roots,
    chunkBytes,
    parallelFiles,
    follow,
    removeSources: request.move,
    ...(manifestFile === undefined ? {} : { manifestFile }),
  };
}

/**
 * What the receiver elsewhere is told, so that it keeps what arrives for a later attempt or run. Of a stream nothing is kept, but what a server that is
 * killed leaves of it is known to be this job's.
 */
export function farKeeping({ request, attempt }: Pick<RunContext, "request" | "attempt">): FarKeeping {
  const { resumable = false, resume = false, jobId, sources, options } = request;
  if (resumable) return { jobId, resume: resume || attempt > 1 };
  const isStream = sources[0]?.fd !== undefined && !options.discard;
  return { jobId: isStream ? jobId : "", resume: false };
}

/**
 * A move that goes on sends what looks the same and is not known to be durable: a run that was killed may just have placed it, and
 * a source that is skipped stays.
 */
export function overwriteOf({ request, attempt }: Pick<RunContext, "request" | "attempt">): Overwrite {
  const { overwrite } = request.options;
  const goesOn = request.resume === true || attempt > 1;
  return request.move && goesOn && overwrite === "if-different" ? "always" : overwrite;
}

export function receiveOptions(
  { request, attempt }: Pick<RunContext, "request" | "attempt">,
  options: { readonly job: number; readonly manifest: boolean },
): Omit<ReceiveJobOptions, "onProgress"> {
  const { destination, targets, manifestFile } = request;
  const { fsync, perms, owner, discard, reread } = request.options;
  return {
    job: options.job,
    root: rootOf(destination),
    base: targets.base,
    exactName: targets.exactName,
    overwrite: overwriteOf({ request, attempt }),
    fsync,
    perms,
    owner,
    discard,
    reread,
    ...(options.manifest && manifestFile !== undefined ? { manifestFile } : {}),
    ...(destination.fd === undefined ? {} : { destinationFd: destination.fd }),
  };
}

/** Says by what way the bytes go, once the session is up. */
export function reportSession(
  { request, reporter, trace }: Pick<RunContext, "request" | "reporter" | "trace">,
  session: NativeSession,
): void {
  trace?.watch(session);
  if (session.transport) reporter.transport(session.transport);
  if (session.note) reporter.notice(session.transport === "tcp" ? "fallback-tcp" : "transport", session.note);
  if (session.transport === "tcp" && request.options.controller === "ledbat") {
    reporter.notice("not-background", "--background does not apply: the system's TCP gives way to nobody");
  }
}

/** The standard stream among the sources, if it is one. */
export function pipeOf(sources: readonly ResolvedSource[]): number | undefined {
  return sources[0]?.endpoint.fd;
}
