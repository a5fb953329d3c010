import { setTimeout as sleep } from "node:timers/promises";
import { PbError } from "../model/error.ts";
import { abortError } from "./abort.ts";
import type { RunContext, Strategy } from "./context.ts";
import { withoutMoved } from "./moved.ts";
import type { Outcome } from "./receipt.ts";
import { isWorthRetrying, NO_RETRY, retryDelayMs, wasTaken } from "./retry-policy.ts";

/**
 * Runs the strategy until it ends, or has lost its peer too often. A standard stream is moved once: what was read of it is gone, and what was written to
 * it is somebody's already.
 *
 * @throws PbError of the last loss, or of what no retry mends
 */
export async function withRetries(
  context: Omit<RunContext, "attempt">,
  strategy: Strategy,
  begun: () => boolean,
): Promise<Outcome> {
  const { reporter, signal, request } = context;
  const policy = request.retry ?? NO_RETRY;
  let fruitless = 0;
  let retry = 0;
  for (;;) {
    try {
      const left = retry === 0 ? request : await withoutMoved(request, signal);
      if (left.sources.length === 0) return ALL_MOVED;
      return await strategy({ ...context, request: left, attempt: reporter.attempts });
    } catch (cause) {
      const error = PbError.from(cause);
      const taken = wasTaken(error) && begun();
      if (begun() && !signal.aborted) refuseStream(request, error);
      if (signal.aborted || !(taken || (isWorthRetrying(error) && (begun() || policy.fromStart))))
        throw error;
      fruitless = reporter.attemptBrought > 0 ? 1 : fruitless + 1;
      if (fruitless > (taken ? Math.min(1, policy.attempts) : policy.attempts)) throw error;
      retry += 1;
      if (!taken) await wait(context, { error, retry, fruitless });
      reporter.nextAttempt();
    }
  }
}

/** @throws PbError the same, and that it is final, where a standard stream was at stake */
function refuseStream(
  { sources, destination }: Pick<RunContext["request"], "sources" | "destination">,
  error: PbError,
): void {
  const isRead = sources[0]?.fd !== undefined;
  if (!isRead && destination.fd === undefined) return;
  const stream = isRead ? "standard input can't be read again" : "standard output can't be taken back";
  const { path, peer, hint: before } = error;
  const hint = `${before === undefined ? "" : `${before}; `}${stream}: give the transfer again from its beginning`;
  throw new PbError(error.code, error.message, { path, peer, hint, retryable: false, cause: error });
}

/** What was lost was only the word that it is done. */
const ALL_MOVED: Outcome = { state: "done", hashes: [], lanes: 0, sealed: false };

async function wait(
  { reporter, signal }: Pick<RunContext, "reporter" | "signal">,
  { error, retry, fruitless }: { error: PbError; retry: number; fruitless: number },
): Promise<void> {
  const peer = error.peer ?? reporter.peerName;
  reporter.notice("retrying", `${peer}: ${error.message}; going on when it is back`);
  const delayMs = retryDelayMs(fruitless);
  reporter.waits({ peer, retry, untilMs: reporter.now() + delayMs });
  try {
    await sleep(delayMs, undefined, { signal });
  } catch {
    throw abortError(signal);
  } finally {
    reporter.waits(undefined);
  }
}
