import type { SessionPeer } from "../backend/backend.ts";
import { type EarlySession, sessionOptions } from "./context.ts";
import type { TransferRequest } from "./request.ts";
import { kindOf, peerOf } from "./strategy/peer.ts";

type Wanted = Pick<TransferRequest, "sources" | "destination" | "options" | "traceFile" | "dryRun">;

/** Begins to open the session of a transfer that has one peer. */
export function openEarly(request: Wanted, signal: AbortSignal): EarlySession {
  const peer = request.dryRun ? undefined : onlyPeer(request);
  let opening = peer?.openSession(openOptions(request, signal));
  opening?.catch(() => undefined);
  const early: EarlySession = {
    take() {
      const taken = opening;
      opening = undefined;
      return taken;
    },
    async close() {
      const left = await early.take()?.catch(() => undefined);
      await left?.close();
    },
    [Symbol.asyncDispose]: () => early.close(),
  };
  return early;
}

/** What a session to a peer is opened with. */
export function openOptions(request: Pick<Wanted, "options" | "traceFile">, signal: AbortSignal) {
  const { transport, chunkBytes } = request.options;
  return { ...sessionOptions(request), transport, chunkBytes, signal };
}

/** The one end that is a peer; none for copies within one place or between two peers. */
function onlyPeer({ sources, destination }: Wanted): SessionPeer | undefined {
  const [first] = sources;
  const peers = [first, destination].filter((end) => end !== undefined && kindOf(end) === "session");
  const [only] = peers;
  return only !== undefined && peers.length === 1 ? peerOf(only) : undefined;
}
