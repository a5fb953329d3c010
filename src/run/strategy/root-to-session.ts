import { type ErrorCode, PbError } from "../../model/error.ts";
import type { NativeSession } from "../../native/types.ts";
import { farKeeping, overwriteOf, type RunContext, reportSession, type Strategy } from "../context.ts";
import { bytesMoved, copiedFar } from "../copies.ts";
import { openOptions } from "../early.ts";
import { concludeFar, demandReread, type FarCall, watchFar } from "../far.ts";
import { refuseLost, runSendHalf } from "../halves.ts";
import type { Outcome } from "../receipt.ts";
import { sourcePath } from "../request.ts";
import { type FolderGuard, folderGuard } from "../same-file.ts";
import { peerOf } from "./peer.ts";

const JOB = 1;

/** From this machine, or an endpoint by way of it, to a peer's engine: upload. */
export const rootToSession: Strategy = async (context) => {
  const { request, signal } = context;
  const peer = peerOf(request.destination);
  const opened = await (context.early?.take() ?? peer.openSession(openOptions(request, signal)));
  const stop = new AbortController();
  let finished = "";
  try {
    context.reporter.peer(peer.name);
    // The far job begins, and what there may be to guard is looked at, while the lanes are on their way.
    const guarding = context.oneHost ? folderGuard(request, signal) : undefined;
    guarding?.catch(() => undefined);
    const farSignal = AbortSignal.any([signal, stop.signal]);
    const far = watchFar(
      opened.receive({
        job: JOB,
        destination: request.targets.base,
        exactName: request.targets.exactName,
        ...farKeeping(context),
        move: request.move,
        options: { ...request.options, overwrite: overwriteOf(context) },
        signal: farSignal,
      }),
      { reporter: context.reporter, trace: context.trace, peer: peer.name, signal: farSignal },
    );
    const session = await Promise.race([opened.connected, far.done.then(() => opened.connected)]);
    reportSession(context, session);
    const accepts = await far.ready;
    demandReread(far, { reread: request.options.reread, peer: peer.name });
    if (accepts) session.accepted(JOB, accepts);
    context.begin();
    const outcome = await send(context, {
      far,
      session,
      lanes: opened.lanes,
      pushes: accepts?.push,
      guard: await guarding,
    });
    if (outcome.state === "done" || outcome.state === "partial") finished = farKeeping(context).jobId;
    return outcome;
  } finally {
    context.reporter.attemptEnds();
    stop.abort();
    await opened.close({ finished });
  }
};

/** What only who writes can meet; beside the path of a source it would be read as said of the disk here. */
const OF_WRITING: ReadonlySet<ErrorCode> = new Set(["no_space", "read_only"]);

function byReceiver(error: PbError, peer: string): PbError {
  if (!OF_WRITING.has(error.code)) return error;
  const { code, message, path, hint, retryable } = error;
  return new PbError(code, `${peer}: ${message}`, { path, hint, retryable, cause: error });
}

async function send(
  { request, reporter, signal }: RunContext,
  open: {
    far: FarCall;
    session: NativeSession;
    lanes: number;
    pushes: boolean | undefined;
    guard: FolderGuard | undefined;
  },
): Promise<Outcome> {
  const { far, session, lanes, pushes, guard } = open;
  reporter.jobPaths((path) => sourcePath(request, path));
  reporter.explainWith((error) => byReceiver(error, reporter.peerName));
  reporter.watchLanes(() => session.samples(), far.lanes);
  const sent = await runSendHalf({
    session,
    guard,
    pushes,
    job: JOB,
    request,
    report: reporter,
    onProgress: reporter.job.bind(reporter, JOB),
    onConfirmed: (confirmed) => reporter.confirmed(confirmed),
    signal: AbortSignal.any([signal, far.failed]),
  });
  reporter.jobEnded(JOB, sent);
  const done = await concludeFar(far, { peer: reporter.peerName, near: sent, needed: false });
  refuseLost(sent);
  const copied = { sender: session.takeCopied(), receiver: copiedFar(done) };
  reporter.copies.add({ ...copied, bytes: bytesMoved(sent) });
  return { state: sent.state, hashes: sent.hashes, lanes, sealed: request.options.seal };
}
