import { PbError } from "../model/error.ts";

/** @throws PbError `aborted` when the signal is */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal);
}

/** The signal's own `PbError` where it has one, else `aborted`. */
export function abortError(signal: AbortSignal): PbError {
  if (signal.reason instanceof PbError) return signal.reason;
  return new PbError("aborted", "interrupted", { cause: signal.reason });
}

/** Calls `stop` when the signal is, or already was, aborted; the result takes the listener away. */
export function onAbort(signal: AbortSignal, stop: () => void): () => void {
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return () => signal.removeEventListener("abort", stop);
}
