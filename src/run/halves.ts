import { PbError } from "../model/error.ts";
import type {
  Accepts,
  JobProgress,
  JobResult,
  NativeSession,
  ReceiveJob,
  ReceiveJobOptions,
  SendJob,
  SendJobOptions,
} from "../native/types.ts";
import { abortError, onAbort, throwIfAborted } from "./abort.ts";
import { pipeOf, type RunContext, receiveOptions, sendOptions } from "./context.ts";
import { type Fed, type FeedReport, feed, pipeEntry } from "./feed.ts";
import { type Kept, type KeptJob, receiveKept } from "./keep.ts";
import { pruneFolders } from "./prune.ts";
import {
  chunksOf,
  type PumpedSendOptions,
  parallelFilesInto,
  startPumpedReceive,
  startPumpedSend,
} from "./pump/jobs.ts";
import { isLoss } from "./report.ts";
import { type Endpoint, nativeRoots, type ResolvedRequest } from "./request.ts";
import type { FolderGuard } from "./same-file.ts";

export interface SendHalfOptions {
  readonly session: NativeSession;
  readonly job: number;
  readonly request: Pick<ResolvedRequest, "options" | "resolved" | "intoExisting" | "move" | "manifestFile">;
  readonly report: FeedReport;
  readonly onProgress: SendJobOptions["onProgress"];
  readonly guard?: FolderGuard | undefined;
  /** As the receiver accepts it: entries come without an offer before. Default: false. */
  readonly pushes?: boolean | undefined;
  /** Told what a source without an engine has confirmed of each file. */
  readonly onConfirmed?: PumpedSendOptions["onConfirmed"];
  /** Where it goes, if that is known here. */
  readonly into?: Endpoint;
  readonly signal: AbortSignal;
}

/**
 * The sending half of a job: lists, pushes, waits until everything is durable at the receiver, and after a move takes
 * the empty folders away. An abort ends the native job and is waited for.
 *
 * @throws PbError of the abort, or of a source that could not be listed at all
 */
export async function runSendHalf(options: SendHalfOptions): Promise<JobResult> {
  const { request, signal } = options;
  throwIfAborted(signal);
  const { job, indexOf } = startSend(options);
  const fed = await feedWhile(job, options, indexOf);
  const result = await settled(job, signal);
  // Else the receiver has not come to give the folders their modes and times: the run that goes on needs them here.
  const arrived = result.state === "done" || result.state === "partial";
  if (!request.move || !arrived) return result;
  const failed = new Set(result.allErrors.map(({ path }) => path ?? ""));
  const removed = await pruneFolders({ ...fed, failed, report: options.report, signal });
  return { ...result, removedSources: result.removedSources + removed };
}

function startSend({ session, request, job, onProgress, onConfirmed, into }: SendHalfOptions) {
  const chosen = sendOptions(request, { job, roots: [] });
  const send = { ...chosen, parallelFiles: chosen.parallelFiles || parallelFilesInto(into), onProgress };
  const pumped = startPumpedSend({ session, send, request, onConfirmed });
  if (pumped) return { job: pumped, indexOf: () => 0 };
  const { roots, indexOf } = nativeRoots(request.resolved);
  return { job: session.send({ ...send, roots }), indexOf };
}

const NOTHING_FED: Fed = { folders: [] };

/** Feeds the job to its end; a job that ends early ends the feeding too. */
async function feedWhile(
  job: SendJob,
  options: SendHalfOptions,
  rootIndex: ReturnType<typeof nativeRoots>["indexOf"],
): Promise<Fed> {
  const { request, report, guard, pushes, signal } = options;
  const ended = new AbortController();
  const early = () => ended.abort(new PbError("aborted", "the job has ended"));
  job.done.then(early, early);
  const both = AbortSignal.any([signal, ended.signal]);
  const stopped = rejection(both);
  try {
    const pipe = pipeOf(request.resolved);
    const feeding =
      pipe === undefined
        ? feed({ request, job, rootIndex, report, guard, unasked: pushes, signal: both })
        : job.push([pipeEntry(pipe, "")]).then(() => NOTHING_FED);
    const fed = await Promise.race([feeding, stopped.promise]);
    job.finish();
    return fed;
  } catch (cause) {
    if (ended.signal.aborted && !signal.aborted) return NOTHING_FED;
    const error = PbError.from(cause);
    job.abort(error.message);
    await job.done.catch(() => undefined);
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    stopped.release();
  }
}

/** A promise that rejects when the signal is aborted, never else. */
function rejection(signal: AbortSignal): { readonly promise: Promise<never>; readonly release: () => void } {
  let release = () => {};
  const promise = new Promise<never>((_resolve, reject) => {
    release = onAbort(signal, () => reject(abortError(signal)));
  });
  promise.catch(() => undefined);
  return { promise, release };
}

/** The job's result; an abort ends the job and is thrown once it has cleaned up. What a checkpoint knows of stays. */
export async function settled(
  job: { readonly done: Promise<JobResult>; abort(reason: string, options?: { keep: boolean }): void },
  signal: AbortSignal,
): Promise<JobResult> {
  const release = onAbort(signal, () => {
    const { code, message } = abortError(signal);
    // Whose access was taken may not leave anything behind.
    job.abort(message, { keep: code !== "revoked" });
  });
  try {
    const result = await job.done;
    // A job that failed by itself knows better why than whoever aborted it then.
    if (result.state === "aborted") throwIfAborted(signal);
    return result;
  } finally {
    release();
  }
}

export interface ReceiveHalf {
  readonly accepts: Accepts;
  readonly done: Promise<JobResult>;
}

/** The receiving half of a job; it exists, and may be sent to, when this returns. */
export function startReceiveHalf(options: {
  readonly session: NativeSession;
  readonly receive: Omit<ReceiveJobOptions, "onProgress">;
  readonly onProgress: (progress: JobProgress) => void;
  /** What the job is to remember; the caller closes it when `done` is settled. */
  readonly kept?: Kept | undefined;
  readonly signal: AbortSignal;
}): ReceiveHalf {
  const { session, receive, onProgress, kept, signal } = options;
  throwIfAborted(signal);
  const withProgress = { ...receive, onProgress };
  const started = kept
    ? receiveKept((checkpoint) => session.receive({ ...withProgress, checkpoint }), kept)
    : { job: session.receive(withProgress), failure: () => undefined };
  const done = keptHalf(started, signal);
  // Whoever waits for it may come later.
  done.catch(() => undefined);
  return { accepts: started.job.accepts, done };
}

/** The half of a destination: descriptors of this process, or an endpoint that JavaScript writes to. */
export async function startDestination(
  context: RunContext,
  options: {
    readonly session: NativeSession;
    readonly job: number;
    readonly manifest: boolean;
    readonly onProgress: (progress: JobProgress) => void;
    readonly kept: Kept | undefined;
    readonly signal: AbortSignal;
  },
): Promise<Pick<ReceiveHalf, "done"> & Partial<ReceiveHalf>> {
  const { kept, signal, ...rest } = options;
  const chunks = chunksOf(context.request.destination);
  if (chunks === undefined) {
    const receive = receiveOptions(context, { job: options.job, manifest: options.manifest });
    return startReceiveHalf({ ...rest, receive, kept, signal });
  }
  throwIfAborted(signal);
  const started = await startPumpedReceive({ ...context, signal }, { ...rest, chunks, kept });
  const done = keptHalf(started, signal);
  done.catch(() => undefined);
  return { done };
}

/** @throws PbError of the checkpoint, where it could not keep what the job told it */
async function keptHalf(
  { job, failure }: KeptJob<Pick<ReceiveJob, "abort" | "done">>,
  signal: AbortSignal,
): Promise<JobResult> {
  const result = await settled(job, signal);
  const error = failure();
  if (error && result.state !== "done" && result.state !== "partial") throw error;
  return result;
}

/** That a job lost its peer, if it failed by that: of a full disk the receiver says first that a file failed, and then why the job does. */
export function lossOf({ state, allErrors }: Pick<JobResult, "state" | "allErrors">): PbError | undefined {
  if (state !== "failed" || allErrors.some(({ code }) => code === "no_space")) return undefined;
  return allErrors.find(isLoss);
}

/**
 * A job that lost its peer is for the next attempt; anything else is its result.
 *
 * @throws PbError of the loss
 */
export function refuseLost(result: JobResult): JobResult {
  const loss = lossOf(result);
  if (loss) throw loss;
  return result;
}

/**
 * Whoever reads our standard output may have had enough (`pb cp box:/log - | head`): that is no failure of ours, and nothing to report.
 *
 * @throws PbError `aborted`
 */
export function refuseGoneReader(
  { destination }: Pick<ResolvedRequest, "destination">,
  result: JobResult,
): void {
  if (destination.fd === undefined || result.state !== "failed") return;
  if (!result.allErrors.some(({ code }) => code === "aborted")) return;
  throw new PbError("aborted", "the reader of standard output has gone");
}
