import type { TLSSocket } from "node:tls";
import type { HostPort } from "../../credential/address.ts";
import { type ErrorCode, PbError } from "../../model/error.ts";
import { type ClientIdentity, type ServerTrust, secured, startTls } from "./tls.ts";

export interface DialOptions {
  /** In the order to try. */
  readonly addresses: readonly HostPort[];
  readonly trust: ServerTrust;
  readonly client?: ClientIdentity;
  readonly signal: AbortSignal;
}

export interface Dialled {
  readonly socket: TLSSocket;
  readonly address: HostPort;
}

/** The next address is tried beside a slow one after this time, as RFC 8305 does (there 250 ms; here a handshake is meant). */
const STAGGER_MS = 1000;

/** Which failure is told when all addresses fail: the one that says most. */
const TELLING: readonly ErrorCode[] = ["aborted", "certificate_expired", "fingerprint_mismatch"];

/** The first address, in order, at which the pinned server answers. @throws PbError of the most telling failure */
export function dial({ addresses, trust, client, signal }: DialOptions): Promise<Dialled> {
  return firstOf(
    addresses,
    signal,
    async (address, attempt) => {
      const socket = startTls({ address, trust, ...(client && { client }) });
      await secured(socket, { address, peer: trust.peer, signal: attempt });
      return { socket, address };
    },
    ({ socket }) => socket.destroy(),
  );
}

/**
 * Runs `attempt` on each item, a second apart or as soon as the one before has failed; the first success wins, the others
 * are aborted, and what they still produce is dropped.
 */
export async function firstOf<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  attempt: (item: T, signal: AbortSignal) => Promise<R>,
  drop: (late: R) => void,
): Promise<R> {
  if (signal.aborted) throw new PbError("aborted", "interrupted", { cause: signal.reason });
  const stop = new AbortController();
  const stopAll = () => stop.abort(signal.reason);
  signal.addEventListener("abort", stopAll);
  try {
    return await new Promise<R>((resolve, reject) => {
      const failures: unknown[] = [];
      let next = 0;
      let won = false;
      let timer: NodeJS.Timeout | undefined;
      const start = () => {
        clearTimeout(timer);
        if (won || next >= items.length) return;
        const item = items[next] as T;
        next += 1;
        timer = setTimeout(start, STAGGER_MS);
        attempt(item, stop.signal).then(succeed, fail);
      };
      const succeed = (result: R) => {
        if (won) return drop(result);
        won = true;
        clearTimeout(timer);
        resolve(result);
      };
      const fail = (error: unknown) => {
        failures.push(error);
        if (failures.length === items.length) {
          clearTimeout(timer);
          reject(mostTelling(failures));
        } else if (!stop.signal.aborted) start();
        else if (failures.length === next) reject(mostTelling(failures));
      };
      start();
    });
  } finally {
    signal.removeEventListener("abort", stopAll);
    stop.abort();
  }
}

function mostTelling(failures: readonly unknown[]): unknown {
  for (const code of TELLING) {
    const found = failures.find((failure) => failure instanceof PbError && failure.code === code);
    if (found) return found;
  }
  return failures[0];
}
