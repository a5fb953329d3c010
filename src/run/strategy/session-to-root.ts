import type { PeerSession, SessionPeer } from "../../backend/backend.ts";
import type { NativeSession } from "../../native/types.ts";
import { onAbort } from "../abort.ts";
import { type RunContext, reportSession, type Strategy } from "../context.ts";
import { bytesMoved, copiedFar } from "../copies.ts";
import { openOptions } from "../early.ts";
import { concludeFar, watchFar } from "../far.ts";
import { refuseGoneReader, refuseLost, startDestination } from "../halves.ts";
import { endKept, openKept } from "../keep.ts";
import type { Outcome } from "../receipt.ts";
import { targetPath } from "../request.ts";
import { refuseSharedParts } from "../shared-parts.ts";
import { peerOf } from "./peer.ts";

const JOB = 1;

/** From a peer's engine to this machine, or an endpoint by way of it: download. The peer lists, filters and, in a move, removes. */
export const sessionToRoot: Strategy = async (context) => {
  const { request, signal } = context;
  const [first] = request.sources;
  if (first === undefined) throw new TypeError("a resolved request has sources");
  const peer = peerOf(first);
  await refuseSharedParts(context);
  const opened = await (context.early?.take() ?? peer.openSession(openOptions(request, signal)));
  const stop = new AbortController();
  try {
    context.reporter.peer(peer.name);
    const session = await opened.connected;
    reportSession(context, session);
    return await receive(context, { peer, opened, session, stop });
  } finally {
    context.reporter.attemptEnds();
    stop.abort();
    await opened.close();
  }
};

interface Open {
  readonly peer: SessionPeer;
  readonly opened: PeerSession;
  readonly session: NativeSession;
  readonly stop: AbortController;
}

async function receive(context: RunContext, { peer, opened, session, stop }: Open): Promise<Outcome> {
  const { request, reporter, signal } = context;
  const both = AbortSignal.any([signal, stop.signal]);
  reporter.jobPaths((path) => targetPath(request, path));
  await using checkpoint = await openKept(context);
  const half = await startDestination(context, {
    session,
    kept: checkpoint && { checkpoint, jobId: request.jobId, move: request.move },
    job: JOB,
    manifest: true,
    onProgress: reporter.job.bind(reporter, JOB),
    signal: both,
  });
  const far = watchFar(
    opened.send({
      job: JOB,
      sources: request.sources.map(({ path }) => path),
      several: sendsNames(context),
      intoExisting: request.intoExisting,
      move: request.move,
      options: request.options,
      signal: both,
    }),
    { reporter, trace: context.trace, peer: peer.name, signal: both },
  );
  // The far side's lanes carry the data; until it tells of them, ours show at least the path.
  const known = () => far.lanes().length > 0;
  reporter.watchLanes(
    () => (known() ? far.lanes() : session.samples()),
    () => (known() ? session.samples() : []),
  );
  const release = onAbort(far.failed, () => stop.abort(far.failed.reason));
  try {
    await far.ready;
    context.begin();
    const result = await half.done;
    reporter.jobEnded(JOB, result);
    refuseGoneReader(request, result);
    const done = await concludeFar(far, { peer: peer.name, near: result, needed: true });
    await endKept(checkpoint, refuseLost(result));
    const copied = { sender: copiedFar(done), receiver: session.takeCopied() };
    reporter.copies.add({ ...copied, bytes: bytesMoved(result) });
    reporter.removedSources(Number(done?.removedSources ?? 0n));
    return { state: result.state, hashes: result.hashes, lanes: opened.lanes, sealed: request.options.seal };
  } finally {
    release();
    stop.abort();
    await half.done.catch(() => undefined);
  }
}

/** One file into a folder that is there keeps its name: for the sender that is "several". */
function sendsNames({ request }: RunContext): boolean {
  return request.targets.prefixes.some((prefix) => prefix !== "");
}
