import { PbError } from "../model/error.ts";
import type { Backend } from "./backend.ts";

/** How each kind of place is opened. Called at most once for a place while its backend is open. */
export interface BackendFactories {
  readonly local: () => Promise<Backend>;
  /** @param remote a configured remote's name, or host:port of one. @throws PbError `unknown_remote` */
  readonly pb: (remote: string) => Promise<Backend>;
}

/** From a place's name to its backend, opened once and shared by all who ask. */
export interface Backends extends AsyncDisposable {
  /** @param remote "" for this machine. @throws PbError `unknown_remote`, `aborted` */
  open(remote: string, signal: AbortSignal): Promise<Backend>;
  /** Idempotent; closes every backend. */
  close(): Promise<void>;
}

export function createBackends(factories: BackendFactories): Backends {
  const opened = new Map<string, Promise<Backend>>();
  let closed = false;

  function opening(remote: string): Promise<Backend> {
    const known = opened.get(remote);
    if (known) return known;
    const made = remote === "" ? factories.local() : factories.pb(remote);
    opened.set(remote, made);
    // A place that could not be opened may be there at the next call.
    made.catch(() => opened.delete(remote));
    return made;
  }

  const backends: Backends = {
    async open(remote, signal) {
      if (signal.aborted) throw new PbError("aborted", "interrupted", { cause: signal.reason });
      if (closed) throw new PbError("aborted", "the daemon is closed");
      return opening(remote);
    },
    async close() {
      closed = true;
      const all = [...opened.values()];
      opened.clear();
      const backends = (await Promise.allSettled(all)).flatMap((result) =>
        result.status === "fulfilled" ? [result.value] : [],
      );
      await Promise.allSettled(backends.map((backend) => backend.close()));
    },
    [Symbol.asyncDispose]: () => backends.close(),
  };
  return backends;
}
