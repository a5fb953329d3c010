import * as calls from "./calls.ts";
import type { SftpConnection } from "./connect.ts";
import type { SftpPool } from "./pool.ts";

export interface OpenHandle {
  readonly session: SftpConnection;
  readonly handle: calls.Handle;
}

/** One file, opened on each connection that moves bytes of it: a handle is valid on its own connection only. */
export interface Handles {
  /** On a connection that is open; one that was lost is opened anew elsewhere. */
  take(signal: AbortSignal): Promise<OpenHandle>;
  /** Closes all. Idempotent. @throws what a server says only now (a quota, a disk that was full) */
  close(): Promise<void>;
}

export interface HandlesOptions {
  readonly pool: SftpPool;
  /** Already open. */
  readonly first: OpenHandle;
  readonly open: (session: SftpConnection, signal: AbortSignal) => Promise<calls.Handle>;
  /** On as many connections as there are: what a second one costs pays off for large files only. */
  readonly spread: boolean;
}

export function createHandles({ pool, first, open, spread }: HandlesOptions): Handles {
  const opened = new Map<SftpConnection, Promise<calls.Handle>>();
  opened.set(first.session, Promise.resolve(first.handle));

  async function on(session: SftpConnection, signal: AbortSignal): Promise<OpenHandle> {
    let handle = opened.get(session);
    if (handle === undefined) {
      handle = open(session, signal);
      opened.set(session, handle);
      handle.catch(() => opened.delete(session));
    }
    return { session, handle: await handle };
  }

  return {
    async take(signal) {
      for (const session of opened.keys()) if (session.closed) opened.delete(session);
      const [only] = opened.keys();
      return on(only === undefined || spread ? await pool.take(signal) : only, signal);
    },
    async close() {
      const all = [...opened].filter(([session]) => !session.closed);
      opened.clear();
      const closing = all.map(async ([session, handle]) => calls.close(session, await handle));
      for (const result of await Promise.allSettled(closing))
        if (result.status === "rejected") throw result.reason;
    },
  };
}
