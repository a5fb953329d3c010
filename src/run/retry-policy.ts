import type { ErrorCode, PbError } from "../model/error.ts";

/** What a run does when the connection is lost. */
export interface RetryPolicy {
  /** Attempts in a row that get nothing further, after which it fails; 0: it fails at the first loss. */
  readonly attempts: number;
  /** Also when the peer was not reached at the start. */
  readonly fromStart: boolean;
}

export const NO_RETRY: RetryPolicy = { attempts: 0, fromStart: false };
/** Of a server that refuses connections: a minute and a half, in which most restart. */
export const DEFAULT_RETRIES = 60;

/** The first wait; doubled from attempt to attempt. */
const FIRST_DELAY_MS = 250;
/** A path that comes back is noticed within this and what a handshake that got no answer still waits (at most 3 s). */
const MAX_DELAY_MS = 2_000;

const LOSSES: ReadonlySet<ErrorCode> = new Set([
  "connection_lost",
  "unreachable",
  "timeout",
  "resource_exhausted",
]);

/** A peer took away what the session was opened with. */
const TAKEN: ReadonlySet<ErrorCode> = new Set(["revoked", "token_expired", "token_invalid"]);

/** Once more: whoever has another token by now, and uses it for each call, goes on; anybody else learns why not. */
export function wasTaken({ code }: PbError): boolean {
  return TAKEN.has(code);
}

/** May the same request succeed in a new session? */
export function isWorthRetrying(error: PbError): boolean {
  return error.retryable && LOSSES.has(error.code);
}

/** Half of it certain, half by chance, so that clients of one server do not come back all at once. */
export function retryDelayMs(fruitless: number, random: () => number = Math.random): number {
  const most = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(fruitless - 1, 10));
  return most / 2 + (most / 2) * random();
}
