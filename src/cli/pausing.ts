import { PbError } from "../model/error.ts";
import type { CliContext } from "./context.ts";

/**
 * A call that an interruption does not cut off: the job is paused, and says itself what it has kept. It ends with this: Connect's clients do not tell a
 * service that its reader has left.
 */
export interface Pausing extends Disposable {
  readonly signal: AbortSignal;
  readonly onJob: (job: { readonly id: string; readonly resumable: boolean }) => void;
}

/**
 * Until the job is known, and for one that can't be paused, an interruption ends the call.
 *
 * @param remote the server that runs it; "": this PB_HOME
 */
export function pausing({ jobs, signal }: Pick<CliContext, "jobs" | "signal">, remote = ""): Pausing {
  const call = new AbortController();
  let pausable: string | undefined;
  const stop = () => {
    if (pausable === undefined) call.abort(signal.reason);
    else jobs.pauseJob({ id: pausable, remote }).catch(() => call.abort(signal.reason));
  };
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return {
    signal: call.signal,
    onJob({ id, resumable }) {
      if (resumable) pausable = id;
    },
    [Symbol.dispose]() {
      signal.removeEventListener("abort", stop);
      call.abort(new PbError("aborted", "nobody follows any more"));
    },
  };
}
