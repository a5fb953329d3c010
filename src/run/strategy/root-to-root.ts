import type { Strategy } from "../context.ts";
import { receiveOptions, reportSession } from "../context.ts";
import { bytesMoved } from "../copies.ts";
import { refuseGoneReader, runSendHalf, startReceiveHalf } from "../halves.ts";
import { endKept, openKept } from "../keep.ts";
import { sourcePath } from "../request.ts";
import { folderGuard } from "../same-file.ts";

const JOB = 1;

/** Within this machine: two ends of one engine in this process. */
export const rootToRoot: Strategy = async (context) => {
  const { request, tools, reporter, oneHost, signal } = context;
  const { memoryBytes, limitBytesPerSecond } = request.options;
  const guard = oneHost ? await folderGuard(request, signal) : undefined;
  const [sender, receiver] = tools.engine.pair({ memoryBytes, limitBytesPerSecond });
  try {
    reporter.jobPaths((path) => sourcePath(request, path));
    reporter.watchLanes(() => sender.samples());
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const receive = receiveOptions(context, { job: JOB, manifest: false });
    await using checkpoint = await openKept(context);
    const received = startReceiveHalf({
      session: receiver,
      receive,
      kept: checkpoint && { checkpoint, jobId: request.jobId },
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
        guard,
        signal,
      });
      const result = await received.done;
      const copied = { sender: sender.takeCopied(), receiver: receiver.takeCopied() };
      reporter.copies.add({ ...copied, bytes: bytesMoved(sent) });
      reporter.jobEnded(JOB, { ...sent, allErrors: [...sent.allErrors, ...result.allErrors] });
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
