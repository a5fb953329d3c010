/** Jobs of either side whose bytes go through this process's JavaScript, as other jobs are started. */

import type { ChunkAccess, Confirmed } from "../../backend/backend.ts";
import type {
  JobResult,
  NativeSession,
  PumpedReceiveOptions,
  ReceiveJob,
  SendEntry,
  SendJob,
  SendJobOptions,
} from "../../native/types.ts";
import { overwriteOf, pipeOf, type RunContext } from "../context.ts";
import { entryAt } from "../destination.ts";
import { type Kept, type KeptJob, keepLeft, receiveKept } from "../keep.ts";
import type { Endpoint, ResolvedRequest, ResolvedSource } from "../request.ts";
import { nameTag } from "../strays.ts";
import { SinkPump } from "./sink.ts";
import { SourcePump } from "./source.ts";

/** How the bytes of an endpoint are carried; undefined where an engine does that. */
export function chunksOf({ backend }: Endpoint): ChunkAccess | undefined {
  return backend.native.kind === "chunks" ? backend.native.chunks : undefined;
}

/** Large files at once, so that many of a few megabytes fill a long path: each costs some round trips. */
const PARALLEL_FILES = 16;

/** Calls at once that the user has fixed, by `--lanes` or `--parallel-files`. */
function fixedCalls({ options }: Pick<ResolvedRequest, "options">): number | undefined {
  return Math.max(options.lanes, options.parallelFiles) || undefined;
}

export interface PumpedSendOptions {
  readonly session: NativeSession;
  readonly send: SendJobOptions;
  readonly request: Pick<ResolvedRequest, "options"> & { readonly resolved: readonly ResolvedSource[] };
  readonly onConfirmed?: ((confirmed: Confirmed) => void) | undefined;
}

/** A sending job that reads an endpoint; undefined for sources with descriptors. Its pump ends with it. */
export function startPumpedSend({
  session,
  send,
  request,
  onConfirmed,
}: PumpedSendOptions): SendJob | undefined {
  const [first] = request.resolved;
  const chunks = first && chunksOf(first.endpoint);
  if (!first || !chunks) return undefined;
  const { backend } = first.endpoint;
  const fixed = fixedCalls(request);
  const source = new SourcePump({ backend, chunks, fixed, onConfirmed: onConfirmed ?? (() => {}) });
  const parallelFiles = send.parallelFiles || PARALLEL_FILES;
  const job = session.sendPumped({ ...send, parallelFiles, roots: [] }, source.pump);
  const push = (entries: readonly SendEntry[]) => {
    source.expect(entries);
    return job.push(entries);
  };
  return { ...job, push, done: ending(job.done, source) };
}

/** Large files in flight, where the user has not chosen, into an endpoint that JavaScript writes to; 0: the engine's own number. */
export function parallelFilesInto(destination: Endpoint | undefined): number {
  const chunks = destination && chunksOf(destination);
  return chunks ? Math.min(PARALLEL_FILES, chunks.maxFiles ?? PARALLEL_FILES) : 0;
}

/** The result once nothing of the pump is under way any more. */
async function ending(done: Promise<JobResult>, pump: AsyncDisposable): Promise<JobResult> {
  try {
    return await done;
  } finally {
    await pump[Symbol.asyncDispose]();
  }
}

/** A receiving job that writes to the destination, an endpoint. It exists, and may be sent to, when this resolves. */
export async function startPumpedReceive(
  context: RunContext,
  options: {
    readonly session: NativeSession;
    readonly chunks: ChunkAccess;
    readonly job: number;
    readonly onProgress: SendJobOptions["onProgress"];
    readonly manifest: boolean;
    readonly kept: Kept | undefined;
  },
): Promise<KeptJob<Pick<ReceiveJob, "abort" | "done">>> {
  const { request, reporter, signal } = context;
  const { destination, targets, manifestFile } = request;
  const { backend } = destination;
  const { base, exactName } = targets;
  const overwrite = overwriteOf(context);
  const { kept } = options;
  const isStream = pipeOf(request.resolved) !== undefined;
  const isFresh = (await entryAt(backend, base, signal)) === undefined;
  // Of this attempt: the next one begins anew.
  let leftOut = 0;
  reporter.leftOutLinks = 0;
  const sink = new SinkPump({
    backend,
    chunks: options.chunks,
    base,
    exactName,
    overwrite,
    sourceResolutionNs: request.sources[0]?.backend.capabilities.mtimeResolutionNs ?? 1,
    sync: request.options.fsync,
    perms: request.options.perms && backend.capabilities.permissions,
    fixed: fixedCalls(request),
    memoryBytes: request.options.memoryBytes,
    ...(kept && { nameTag: nameTag(kept.jobId), begunMs: kept.checkpoint.recovered.begunMs }),
    ...(kept && isStream && { onLeaves: keepLeft(kept.checkpoint) }),
    ...(request.options.reread && { hasher: context.tools.engine.hasher }),
    onConfirmed: (confirmed) => reporter.confirmed(confirmed),
    onBegunAnew: (why) =>
      reporter.notice("begun-anew", `what an earlier run had begun is begun anew: ${why}`),
    onLeftOut: (_path, why) => {
      leftOut += 1;
      reporter.leftOutLinks = leftOut;
      const reason = why === true ? `${destination.label} can't have them` : why;
      reporter.notice("skipped-links", `links were left out: ${reason} (--follow copies what they point to)`);
    },
  });
  reporter.explainWith((error) => sink.explain(error));
  const receive = {
    job: options.job,
    exactName,
    push: isFresh || overwrite === "always",
    onProgress: options.onProgress,
    ...(options.manifest && manifestFile !== undefined ? { manifestFile } : {}),
  };
  const start = (more: Pick<PumpedReceiveOptions, "checkpoint">) =>
    options.session.receivePumped({ ...receive, ...more }, sink.pump);
  // The engine has nothing to record of a stream.
  const { job, failure } =
    kept && !isStream
      ? receiveKept((checkpoint) => start({ checkpoint }), kept)
      : { job: start({}), failure: () => undefined };
  return { job: { abort: job.abort, done: ending(job.done, sink) }, failure };
}
