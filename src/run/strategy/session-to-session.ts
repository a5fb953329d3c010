import { randomUUID } from "node:crypto";
import type { Backend, PeerSession } from "../../backend/backend.ts";
import type { Entry } from "../../model/entry.ts";
import { displayPath, joinPath } from "../../model/path.ts";
import type { JobResult } from "../../native/types.ts";
import { decideOverwrite } from "../../plan/overwrite.ts";
import { batchesOf } from "../batches.ts";
import { type Compared, compareWithDestination } from "../compare.ts";
import {
  farKeeping,
  overwriteOf,
  type RunContext,
  reportSession,
  type Strategy,
  sessionOptions,
} from "../context.ts";
import { LegLimits } from "../legs.ts";
import { pruneFolders } from "../prune.ts";
import type { Outcome } from "../receipt.ts";
import type { Spool } from "../request.ts";
import { refuseSharedParts } from "../shared-parts.ts";
import { downloadLeg, removeMoved, type SpoolEnd, uploadLeg } from "../spool.ts";
import { NO_COUNTS } from "../tally.ts";
import { peerOf } from "./peer.ts";

/**
 * From one peer to another, through a folder of this machine: round by round down and up, each leg verified, the folder empty
 * between rounds and gone at the end; where the job can go on, what had come stays until it does. A move removes a source only when the second leg has made its copy durable.
 */
export const sessionToSession: Strategy = async (context) => {
  const { request, tools, reporter, signal } = context;
  const [first] = request.sources;
  if (first === undefined) throw new TypeError("a resolved request has sources");
  const [from, to] = [peerOf(first), peerOf(request.destination)];
  await refuseSharedParts(context);
  const local = await tools.local();
  const { transport, chunkBytes } = request.options;
  const options = { ...sessionOptions(request), transport, chunkBytes, signal };
  const kept = request.resumable ? await tools.openSpool?.() : undefined;
  const spool = kept?.folder ?? joinPath(tools.spoolParent, `pb-spool-${randomUUID()}`);
  const open: PeerSession[] = [];
  const endAt = async (peer: typeof from): Promise<SpoolEnd> => {
    const opened = await peer.openSession(options);
    open.push(opened);
    return { name: peer.name, opened, session: await opened.connected };
  };
  let finished = "";
  let isOver = kept === undefined;
  try {
    const source = await endAt(from);
    const target = await endAt(to);
    await local.mkdir(spool, { parents: true, mode: 0o700, signal });
    context.begin();
    reporter.peer(to.name);
    reportSession(context, target.session);
    const message = `from ${from.name} to ${to.name} by way of this machine: ${displayPath(spool)}`;
    reporter.notice("spooled", message);
    reporter.watchLanes(() => target.session.samples());
    const limits = new LegLimits();
    reporter.watchLimits(() => limits.now());
    const outcome = await rounds(context, { source, target, local, spool, kept, limits });
    const ended = outcome.state === "done" || outcome.state === "partial";
    if (ended) finished = farKeeping(context).jobId;
    isOver ||= ended;
    return outcome;
  } finally {
    reporter.attemptEnds();
    // Only the target has something of the job.
    await Promise.allSettled(open.map((session, at) => session.close(at === 1 ? { finished } : {})));
    if (isOver) await removeTree(local, spool);
  }
};

interface Spooling {
  readonly source: SpoolEnd;
  readonly target: SpoolEnd;
  readonly local: Backend;
  /** `PathText` of the spool at `local`. */
  readonly spool: string;
  /** The same, where it is there for later runs. */
  readonly kept: Spool | undefined;
  readonly limits: LegLimits;
}

/** Not under the transfer's signal: an interrupted one leaves nothing behind either. */
async function removeTree(local: Backend, path: string): Promise<void> {
  await local.remove(path, { recursive: true, signal: new AbortController().signal }).catch(() => undefined);
}

async function rounds(
  context: RunContext,
  { source, target, local, spool, kept, limits }: Spooling,
): Promise<Outcome> {
  const { request, reporter } = context;
  const hashes: JobResult["hashes"][number][] = [];
  const folders: Compared[] = [];
  let [job, removed, worst] = [0, 0, "done" as JobResult["state"]];
  for await (const batch of batchesOf(selected(context))) {
    job += 1;
    // A later run has other rounds, of the same sources.
    const from = batch[0] ? request.resolved.indexOf(batch[0].source) : 0;
    const folder = joinPath(spool, String(kept ? from : job));
    await using checkpoint = await kept?.openCheckpoint(from);
    const round = { job, batch, local, folder, checkpoint, counted: true, limits };
    const here = await downloadLeg(context, source, round);
    const arrived = { ...round, batch: here };
    const sent = await uploadLeg(context, target, arrived);
    hashes.push(...sent.hashes);
    if (sent.state !== "done") worst = sent.state;
    folders.push(...batch.filter(({ entry }) => entry.kind === "directory"));
    if (request.move) removed += await removeMoved(context, arrived, sent);
    if (sent.state === "failed" && kept) break;
    await removeTree(local, round.folder);
    await checkpoint?.discard();
    if (sent.state === "failed") break;
  }
  // What later rounds put into a folder has changed its times: they are set once more.
  if (job > 1 && worst !== "failed") {
    const last = { job: job + 1, batch: folders, local, folder: spool, counted: false, limits };
    await uploadLeg(context, target, last);
  }
  if (request.move) reporter.removedSources(removed + (await removeFolders(context, folders)));
  return { state: worst, hashes, lanes: target.opened.lanes, sealed: request.options.seal };
}

/** What is to go, told to the reporter; what the destination holds already need not come here first. */
async function* selected(context: RunContext): AsyncGenerator<Compared[]> {
  const { request, reporter, signal } = context;
  const found = { files: 0, bytes: 0 };
  const skipped = { files: 0, bytes: 0 };
  for await (const group of compareWithDestination(request, { report: reporter, signal })) {
    const known = group.filter(({ entry }) => entry.kind !== "other");
    const kept = known.filter((compared) => isWritten(context, compared));
    add(found, known);
    add(skipped, known);
    add(skipped, kept, -1);
    reporter.apart({ ...NO_COUNTS, skippedFiles: skipped.files, skippedBytes: skipped.bytes });
    reporter.found({ ...found, done: false });
    if (known.length < group.length) {
      reporter.notice("skipped-kind", "what is neither file, folder nor link was left out");
    }
    yield kept;
  }
  reporter.found({ ...found, done: true });
}

function add(
  sum: { files: number; bytes: number },
  group: readonly { readonly entry: Entry }[],
  sign = 1,
): void {
  for (const { entry } of group) {
    if (entry.kind !== "file") continue;
    sum.files += sign;
    sum.bytes += sign * entry.size;
  }
}

function isWritten(context: RunContext, compared: Compared): boolean {
  const { destination } = context.request;
  const { entry, existing, source } = compared;
  if (entry.kind === "directory") return true;
  const resolutions = {
    sourceNs: source.endpoint.backend.capabilities.mtimeResolutionNs,
    destinationNs: destination.backend.capabilities.mtimeResolutionNs,
  };
  return decideOverwrite(overwriteOf(context), { source: entry, existing, resolutions }).write;
}

async function removeFolders(
  { reporter, signal }: RunContext,
  folders: readonly Compared[],
): Promise<number> {
  return pruneFolders({
    folders: folders.map(({ source, entry }) => ({ source, path: entry.path })),
    failed: new Set(),
    report: reporter,
    signal,
  });
}
