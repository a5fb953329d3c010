import type { PeerSession, SessionPeer } from "../../backend/backend.ts";
import { type RunContext, reportSession, type Strategy, sessionOptions } from "../context.ts";
import { concludeFar, type FarCall, watchFar } from "../far.ts";
import { runSendHalf } from "../halves.ts";
import type { Outcome } from "../receipt.ts";
import { sourcePath } from "../request.ts";
import { folderGuard } from "../same-file.ts";
import { peerOf } from "./peer.ts";

const JOB = 1;

/** From this machine to a peer's engine: upload. */
export const rootToSession: Strategy = async (context) => {
  const { request, signal } = context;
  const peer = peerOf(request.destination);
  const { transport, chunkBytes } = request.options;
  const opened = await peer.openSession({ ...sessionOptions(request), transport, chunkBytes, signal });
  const stop = new AbortController();
  try {
    context.reporter.peer(peer.name);
    reportSession(context, opened.session);
    const farSignal = AbortSignal.any([signal, stop.signal]);
    const far = watchFar(
      opened.receive({
        job: JOB,
        destination: request.targets.base,
        exactName: request.targets.exactName,
        options: request.options,
        signal: farSignal,
      }),
      { reporter: context.reporter, trace: context.trace, peer: peer.name, signal: farSignal },
    );
    await far.ready;
    context.begin();
    return await send(context, { peer, far, opened });
  } finally {
    stop.abort();
    await opened.close();
  }
};

async function send(
  { request, reporter, oneHost, signal }: RunContext,
  open: { peer: SessionPeer; far: FarCall; opened: PeerSession },
): Promise<Outcome> {
  const { peer, far, opened } = open;
  const { session } = opened;
  reporter.jobPaths((path) => sourcePath(request, path));
  reporter.watchLanes(() => session.samples());
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
  await concludeFar(far, peer.name, sent);
  return { state: sent.state, hashes: sent.hashes, lanes: opened.lanes, sealed: request.options.seal };
}
