import { setMaxListeners } from "node:events";
import { PbError } from "../model/error.ts";

/** `caller` or `closing`, whichever aborts first. `dispose` leaves no listener behind. */
export function either(
  caller: AbortSignal,
  closing: AbortSignal,
): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  // As many calls at once as there are; each removes its own listener.
  setMaxListeners(0, caller, closing, controller.signal);
  const stop = () => controller.abort();
  for (const signal of [caller, closing]) {
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  }
  const dispose = () => {
    for (const signal of [caller, closing]) signal.removeEventListener("abort", stop);
  };
  return { signal: controller.signal, [Symbol.dispose]: dispose };
}

/** Runs it once the signal says so, unless what is given was called before. As many may wait for one signal as there are calls. */
export function whenAborted(signal: AbortSignal, run: () => void): () => void {
  setMaxListeners(0, signal);
  signal.addEventListener("abort", run, { once: true });
  return () => signal.removeEventListener("abort", run);
}

/** @throws PbError `aborted` */
export function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw aborted(signal);
}

export function aborted(signal: AbortSignal): PbError {
  return new PbError("aborted", "interrupted", { cause: signal.reason });
}

/** What `promise` gives, or `aborted` as soon as the signal says so: a dead network mount may never answer. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => {};
  const interrupted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(aborted(signal));
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([promise, interrupted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
