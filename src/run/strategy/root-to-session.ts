import type { PeerSession, SessionPeer } from "../../backend/backend.ts";
import { farKeeping, overwriteOf, type RunContext, reportSession, type Strategy } from "../context.ts";
import { bytesMoved, copiedFar } from "../copies.ts";
import { openOptions } from "../early.ts";
import { concludeFar, type FarCall, watchFar } from "../far.ts";
import { refuseLost, runSendHalf } from "../halves.ts";
import type { Outcome } from "../receipt.ts";
import { sourcePath } from "../request.ts";
import { folderGuard } from "../same-file.ts";
import { peerOf } from "./peer.ts";

const JOB = 1;

/** From this machine to a peer's engine: upload. */
export const rootToSession: Strategy = async (context) => {
  const { request, signal } = context;
  const peer = peerOf(request.destination);
  const opened = await (context.early?.take() ?? peer.openSession(openOptions(request, signal)));
  const stop = new AbortController();
  let finished = "";
  try {
    context.reporter.peer(peer.name);
    reportSession(context, opened.session);
    const farSignal = AbortSignal.any([signal, stop.signal]);
    const far = watchFar(
      opened.receive({
        job: JOB,
        destination: request.targets.base,
        exactName: request.targets.exactName,
        ...farKeeping(context),
        options: { ...request.options, overwrite: overwriteOf(context) },
        signal: farSignal,
      }),
      { reporter: context.reporter, trace: context.trace, peer: peer.name, signal: farSignal },
    );
    await far.ready;
    context.begin();
    const outcome = await send(context, { peer, far, opened });
    if (outcome.state === "done" || outcome.state === "partial") finished = farKeeping(context).jobId;
    return outcome;
  } finally {
    context.reporter.attemptEnds();
    stop.abort();
    await opened.close({ finished });
  }
};

async function send(
  { request, reporter, oneHost, signal }: RunContext,
  open: { peer: SessionPeer; far: FarCall; opened: PeerSession },
): Promise<Outcome> {
  const { peer, far, opened } = open;
  const { session } = opened;
  reporter.jobPaths((path) => sourcePath(request, path));
  reporter.watchLanes(() => session.samples(), far.lanes);
  const guard = oneHost ? await folderGuard(request, signal) : undefined;
  const sent = await runSendHalf({
    session,
    guard,
    job: JOB,
    request,
    report: reporter,
    onProgress: reporter.job.bind(reporter, JOB),
    signal: AbortSignal.any([signal, far.failed]),
  });
  reporter.jobEnded(JOB, sent);
  const done = await concludeFar(far, peer.name, sent);
  refuseLost(sent);
  const copied = { sender: session.takeCopied(), receiver: copiedFar(done) };
  reporter.copies.add({ ...copied, bytes: bytesMoved(sent) });
  return { state: sent.state, hashes: sent.hashes, lanes: opened.lanes, sealed: request.options.seal };
}
