import type { TLSSocket } from "node:tls";
import type { HostPort } from "../../credential/address.ts";
import { type ErrorCode, PbError } from "../../model/error.ts";
import { refuseAborted } from "../signals.ts";
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
  return firstOf({
    items: addresses,
    signal,
    attempt: async (address, attempt) => {
      const socket = startTls({ address, trust, ...(client && { client }) });
      await secured(socket, { address, peer: trust.peer, signal: attempt });
      return { socket, address };
    },
    drop: ({ socket }) => socket.destroy(),
  });
}

export interface FirstOfOptions<T, R> {
  readonly items: readonly T[];
  readonly signal: AbortSignal;
  readonly attempt: (item: T, signal: AbortSignal) => Promise<R>;
  /** For what an attempt gives after another has won. */
  readonly drop?: (late: R) => void;
}

/**
 * Runs `attempt` on each item, a second apart or as soon as the one before has failed; the first success wins and the
 * others are aborted.
 */
export async function firstOf<T, R>({ items, signal, attempt, drop }: FirstOfOptions<T, R>): Promise<R> {
  refuseAborted(signal);
  if (items.length === 0) throw new PbError("invalid_argument", "there is no address to try");
  const stop = new AbortController();
  const stopAll = () => stop.abort(signal.reason);
  signal.addEventListener("abort", stopAll);
  const failures: unknown[] = [];
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<R>((resolve, reject) => {
      let started = 0;
      const start = () => {
        clearTimeout(timer);
        const item = items[started];
        if (item === undefined || stop.signal.aborted) return;
        started += 1;
        timer = setTimeout(start, STAGGER_MS);
        attempt(item, stop.signal).then(succeed, fail);
      };
      const succeed = (result: R) => {
        if (stop.signal.aborted) {
          drop?.(result);
          reject(new PbError("aborted", "interrupted", { cause: signal.reason }));
          return;
        }
        stop.abort();
        resolve(result);
      };
      const fail = (error: unknown) => {
        failures.push(error);
        start();
        if (failures.length === started) reject(mostTelling(failures));
      };
      start();
    });
  } finally {
    clearTimeout(timer);
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
