import type { PbError } from "../../model/error.ts";
import type { JobResult } from "../../native/types.ts";
import type { Strategy } from "../context.ts";
import { reportSession } from "../context.ts";
import { bytesMoved } from "../copies.ts";
import { refuseGoneReader, runSendHalf, startDestination } from "../halves.ts";
import { endKept, openKept } from "../keep.ts";
import { sourcePath } from "../request.ts";
import { folderGuard } from "../same-file.ts";
import { limitTimes } from "../window.ts";

const JOB = 1;

/** Two ends of one engine in this process: each is this machine's, or an endpoint that JavaScript reads or writes. */
export const rootToRoot: Strategy = async (context) => {
  const { request, tools, reporter, oneHost, signal } = context;
  const { memoryBytes, limitBytesPerSecond } = request.options;
  const guard = oneHost ? await folderGuard(request, signal) : undefined;
  const [sender, receiver] = tools.engine.pair({ memoryBytes, limitBytesPerSecond });
  try {
    reporter.jobPaths((path) => sourcePath(request, path));
    // There is no path to show, but each end knows what it waits for.
    reporter.watchLimits(() => limitTimes(sender.samples(), receiver.samples()));
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    await using checkpoint = await openKept(context);
    const received = await startDestination(context, {
      session: receiver,
      job: JOB,
      manifest: false,
      kept: checkpoint && { checkpoint, jobId: request.jobId, move: request.move },
      onProgress: ({ redone }) => reporter.redone(redone),
      signal: both,
    });
    context.begin();
    reportSession(context, sender);
    try {
      const onProgress = reporter.job.bind(reporter, JOB);
      const sent = await runSendHalf({
        session: sender,
        job: JOB,
        request,
        report: reporter,
        onProgress,
        into: request.destination,
        pushes: received.accepts?.push,
        onConfirmed: (confirmed) => reporter.confirmed(confirmed),
        guard,
        signal,
      });
      const result = await received.done;
      const copied = { sender: sender.takeCopied(), receiver: receiver.takeCopied() };
      reporter.copies.add({ ...copied, bytes: bytesMoved(sent) });
      reporter.jobEnded(JOB, { ...sent, allErrors: [...sent.allErrors, ...ofReceiver(sent, result)] });
      refuseGoneReader(request, result);
      await endKept(checkpoint, result);
      return { state: sent.state, hashes: sent.hashes, lanes: 0, sealed: false };
    } catch (cause) {
      stop.abort(cause);
      await received.done.catch(() => undefined);
      throw cause;
    }
  } finally {
    await Promise.allSettled([sender.close(), receiver.close()]);
  }
};

/**
 * What only the receiver knows: of the job as a whole. Its sender hears of each entry that failed and names it as the user does; the receiver has
 * another path for it, or none for one that was withdrawn before it was announced.
 */
function ofReceiver(sent: JobResult, received: JobResult): readonly PbError[] {
  const told = new Set(sent.allErrors.map(({ code }) => code));
  return received.allErrors.filter(({ path, code }) => path === undefined && !told.has(code));
}
