import type { ClientStore } from "../credential/clients.ts";

/** What is open for each client, so that a revocation ends it within a second. */
export interface LiveClients extends AsyncDisposable {
  /**
   * `end` is called once if the client is revoked, or the token ends. Returns what to call when the thing has ended by itself.
   *
   * @param clientId or the `grant` of a caller
   */
  track(clientId: string, end: () => void): () => void;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Half of the second in which a revocation takes effect on what is open. */
const LOOK_INTERVAL_MS = 400;

export function watchClients(clients: Pick<ClientStore, "isRevoked">): LiveClients {
  const open = new Map<string, Set<() => void>>();

  const timer = setInterval(() => {
    for (const [id, ends] of open) {
      if (!clients.isRevoked(id)) continue;
      open.delete(id);
      for (const end of ends) end();
    }
  }, LOOK_INTERVAL_MS);
  timer.unref();

  const close = async () => clearInterval(timer);
  return {
    track(clientId, end) {
      const ends = open.get(clientId) ?? new Set();
      open.set(clientId, ends.add(end));
      return () => {
        ends.delete(end);
        if (ends.size === 0 && open.get(clientId) === ends) open.delete(clientId);
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
