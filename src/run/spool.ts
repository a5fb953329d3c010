import type { Backend, FarKeeping, PeerSession } from "../backend/backend.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import { joinPath } from "../model/path.ts";
import { resolveOptions, type TransferOptions } from "../model/transfer.ts";
import type { JobResult, NativeSession, SendEntry } from "../native/types.ts";
import { onAbort } from "./abort.ts";
import type { Compared } from "./compare.ts";
import { farKeeping, type RunContext, sendOptions } from "./context.ts";
import { bytesMoved, copiedFar } from "./copies.ts";
import { concludeFar, demandReread, type FarCall, watchFar } from "./far.ts";
import { refuseLost, settled, startReceiveHalf } from "./halves.ts";
import { type LegLanes, type LegLimits, lanesFromNow } from "./legs.ts";
import { belowRoot, type Endpoint, rootOf } from "./request.ts";

/** Of the leg that only sets folders' times. */
const NOT_KEPT = { jobId: "", resume: false };

/**
 * The receiver at the end keeps what arrives, of all rounds under the one job: an earlier one's is not to be discarded by the next.
 * Inodes of the spool are in no token, so a file that is fetched here anew is the same to it.
 */
function keeping(context: RunContext, { job, counted }: Round): FarKeeping {
  if (!counted) return NOT_KEPT;
  const kept = farKeeping(context);
  return { ...kept, resume: kept.resume || (kept.jobId !== "" && job > 1) };
}

/** One end of a copy from peer to peer. */
export interface SpoolEnd {
  readonly name: string;
  readonly opened: PeerSession;
  readonly session: NativeSession;
}

export interface Round {
  /** Number of both legs' jobs, each in its own session. */
  readonly job: number;
  readonly batch: readonly Compared[];
  readonly local: Backend;
  /** `PathText` of this round's folder at `local`. */
  readonly folder: string;
  /** Of what has come to that folder. */
  readonly checkpoint?: Checkpoint | undefined;
  /** False for entries that were counted before. */
  readonly counted: boolean;
  readonly limits: LegLimits;
}

/** Brings the files of a round into its folder. A file that does not arrive is an error of the receipt and not in the result. */
export async function downloadLeg(context: RunContext, source: SpoolEnd, round: Round): Promise<Compared[]> {
  const files = round.batch.filter(({ entry }) => entry.kind === "file");
  const others = round.batch.filter(({ entry }) => entry.kind === "directory" || entry.kind === "symlink");
  const [first] = files;
  if (first === undefined) return others;
  const { reporter, signal } = context;
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const half = startReceiveHalf({
    session: source.session,
    receive: spoolReceive(round, first),
    onProgress: () => {},
    kept: round.checkpoint && { checkpoint: round.checkpoint, jobId: context.request.jobId, move: false },
    signal: both,
  });
  const far = watchFar(
    source.opened.send({
      job: round.job,
      sources: [first.source.endpoint.path],
      several: false,
      intoExisting: true,
      move: false,
      options: spoolOptions(context, files),
      signal: both,
    }),
    { reporter: { ...reporterOf(context), found: () => {} }, peer: source.name, signal: both },
  );
  round.limits.begin(farLanes(far), lanesFromNow(source.session));
  const release = onAbort(far.failed, () => stop.abort(far.failed.reason));
  try {
    const result = await half.done;
    const done = await concludeFar(far, { peer: source.name, near: result, needed: true });
    refuseLost(result);
    if (result.resumedBytes > 0) tellResumed(context, result);
    const receiver = source.session.takeCopied();
    // Its bytes count when they have left here again.
    reporter.copies.add({ sender: copiedFar(done), receiver, bytes: 0 });
    for (const error of result.allErrors) {
      const path = joinPath(first.source.endpoint.label, error.path ?? "");
      reporter.error(error.about({ path }));
    }
    return [...others, ...(await arrived(files, round, signal))].sort(inOrderOf(round.batch));
  } finally {
    round.limits.end();
    release();
    stop.abort();
    await half.done.catch(() => undefined);
  }
}

/** The receipt's counters are those of the second leg: what the destination had. */
function tellResumed({ reporter }: RunContext, { resumedBytes }: JobResult): void {
  const amount = `${(resumedBytes / 1e6).toFixed(1)} MB`;
  reporter.notice("spool-resumed", `${amount} had come to this machine before, and were not fetched again`);
}

function farLanes(far: FarCall): LegLanes {
  return { first: far.firstLanes, now: far.lanes };
}

function reporterOf({ reporter }: RunContext) {
  return {
    error: reporter.error.bind(reporter),
    notice: reporter.notice.bind(reporter),
    found: reporter.found.bind(reporter),
  };
}

function spoolReceive(round: Round, first: Compared) {
  const endpoint: Endpoint = { backend: round.local, path: round.folder, label: round.folder };
  const isOneFile = first.entry.path === "";
  return {
    job: round.job,
    root: rootOf(endpoint),
    base: isOneFile ? joinPath(round.folder, SINGLE) : round.folder,
    exactName: isOneFile,
    overwrite: "always" as const,
    fsync: false,
    perms: false,
    owner: false,
  };
}

/** What the one file is called in the spool where the source is a file. */
const SINGLE = "file";

/** The named files and nothing else; filters were applied when they were listed. */
function spoolOptions({ request }: RunContext, files: readonly Compared[]): TransferOptions {
  const { filters: _, minSize, maxSize, minAgeSeconds, maxAgeSeconds, ...kept } = request.options;
  const filesFrom = files.map(({ entry }) => entry.path).filter((path) => path !== "");
  return resolveOptions({ ...kept, filters: [], filesFrom, overwrite: "always", fsync: false });
}

async function arrived(files: readonly Compared[], round: Round, signal: AbortSignal): Promise<Compared[]> {
  const there: Compared[] = [];
  for (const compared of files) {
    const stat = round.local.stat(spoolPath(round, compared), { follow: false, signal });
    const entry = await stat.catch((cause: unknown) => {
      if (PbError.from(cause).code === "not_found") return undefined;
      throw cause;
    });
    if (entry) there.push(compared);
  }
  return there;
}

function inOrderOf(batch: readonly Compared[]): (a: Compared, b: Compared) => number {
  const place = new Map(batch.map((compared, at) => [compared, at]));
  return (a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0);
}

function spoolPath({ folder }: Round, { entry }: Compared): string {
  return joinPath(folder, entry.path === "" ? SINGLE : entry.path);
}

/** The source of what lies in the spool; for errors. */
function originOf(round: Round): (path: string) => string {
  const origins = new Map(
    round.batch.map((compared) => {
      const { endpoint } = compared.source;
      return [belowRoot(spoolPath(round, compared)), joinPath(endpoint.label, compared.entry.path)];
    }),
  );
  return (path) => origins.get(path) ?? path;
}

/** Brings a round's content from its folder to the destination, with the metadata that the source has. */
export async function uploadLeg(context: RunContext, target: SpoolEnd, round: Round): Promise<JobResult> {
  const { request, reporter, signal } = context;
  const stop = new AbortController();
  const farSignal = AbortSignal.any([signal, stop.signal]);
  const far = watchFar(
    target.opened.receive({
      job: round.job,
      destination: request.targets.base,
      exactName: request.targets.exactName,
      ...keeping(context, round),
      move: request.move,
      // What is here is to be written; a source whose copy were skipped must not be removed as if it were copied.
      options: request.move ? { ...request.options, overwrite: "always" } : request.options,
      signal: farSignal,
    }),
    { reporter: reporterOf(context), peer: target.name, signal: farSignal },
  );
  try {
    await far.ready;
    demandReread(far, { reread: request.options.reread, peer: target.name });
    reporter.jobPaths(originOf(round));
    round.limits.begin(lanesFromNow(target.session), farLanes(far));
    const result = await sendRound(context, { target, round, far });
    if (round.counted) reporter.jobEnded(round.job, result);
    else for (const error of result.allErrors) reporter.error(error);
    const done = await concludeFar(far, { peer: target.name, near: result, needed: false });
    refuseLost(result);
    const sender = target.session.takeCopied();
    reporter.copies.add({ sender, receiver: copiedFar(done), bytes: bytesMoved(result) });
    return result;
  } finally {
    round.limits.end();
    stop.abort();
  }
}

/** What the native engine takes in one call. */
const MAX_PUSH = 4_096;

async function sendRound(
  { request, reporter, signal }: RunContext,
  { target, round, far }: { target: SpoolEnd; round: Round; far: FarCall },
): Promise<JobResult> {
  const root = rootOf({ backend: round.local, path: "", label: round.folder });
  const both = AbortSignal.any([signal, far.failed]);
  const job = target.session.send({
    ...sendOptions({ ...request, move: false }, { job: round.job, roots: [root] }),
    onProgress: (progress) => {
      if (round.counted) reporter.job(round.job, progress);
    },
  });
  const result = settled(job, both);
  result.catch(() => undefined);
  const entries = round.batch.map((compared) => sendEntry(round, compared));
  try {
    for (let at = 0; at < entries.length; at += MAX_PUSH) await job.push(entries.slice(at, at + MAX_PUSH));
    job.finish();
  } catch (cause) {
    job.abort(PbError.from(cause).message);
  }
  return result;
}

function sendEntry(round: Round, compared: Compared): SendEntry {
  const { path: _, inode: __, device: ___, ...entry } = compared.entry;
  return { root: 0, source: belowRoot(spoolPath(round, compared)), target: compared.target, ...entry };
}

/** Sources of a move whose copies are durable; each looked at once more before it goes. Returns how many went. */
export async function removeMoved(context: RunContext, round: Round, result: JobResult): Promise<number> {
  const failed = new Set(result.allErrors.map(({ path }) => path));
  let removed = 0;
  for (const compared of round.batch) {
    const { source, entry } = compared;
    const { backend, path: top } = source.endpoint;
    const path = joinPath(top, entry.path);
    if (entry.kind === "directory" || failed.has(belowRoot(spoolPath(round, compared)))) continue;
    try {
      const now = await backend.stat(path, { follow: false, signal: context.signal });
      if (now.size !== entry.size || now.mtimeNs !== entry.mtimeNs || now.inode !== entry.inode) {
        throw new PbError("source_changed", `${path} has changed since it was copied, and stays`, { path });
      }
      await backend.remove(path, { recursive: false, signal: context.signal });
      removed += 1;
    } catch (cause) {
      const error = PbError.from(cause, "io_error", { path });
      if (error.code === "aborted") throw error;
      context.reporter.error(error);
    }
  }
  return removed;
}
