import { STATUS_CODES } from "node:http";
import { type ErrorCode, PbError } from "../../model/error.ts";
import { retryAfterMs } from "../retry-after.ts";
import type { At } from "../transport-error.ts";

export { transportError } from "../transport-error.ts";

/** RFC 9110 section 15, RFC 4918 section 11, RFC 6585. */
const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  405: "unsupported",
  407: "unauthenticated",
  408: "timeout",
  409: "not_found",
  410: "not_found",
  411: "unsupported",
  412: "source_changed",
  // Of one file; the next one may be small enough.
  413: "unsupported",
  414: "invalid_path",
  415: "unsupported",
  416: "source_changed",
  423: "permission_denied",
  424: "io_error",
  425: "timeout",
  429: "resource_exhausted",
  500: "io_error",
  501: "unsupported",
  502: "unreachable",
  503: "resource_exhausted",
  504: "timeout",
  507: "no_space",
};

const HINTS: Readonly<Record<number, string>> = {
  401: "check the remote's user, password or token",
  403: "the remote's user, or who is none, has no right to this there",
  405: "the server does not allow this here: it may be for reading only",
  413: "the server takes no file so large (nginx: client_max_body_size)",
  500: "the server's log says why; a full disk is a usual reason",
};

/** The server refused. @param retryAfter the header of this name */
export function statusError(status: number, at: At, retryAfter?: string): PbError {
  const code = BY_STATUS[status] ?? "io_error";
  const wait = retryAfterMs(retryAfter, Date.now());
  const hint = HINTS[status];
  const words = STATUS_CODES[status];
  return new PbError(code, `${at.peer}: the server answered ${status}${words ? ` ${words}` : ""}`, {
    ...at,
    ...(hint === undefined ? {} : { hint }),
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
    // A server's own failure may pass; what it says about the request does not.
    ...(status === 500 || status === 502 ? { retryable: true } : {}),
  });
}
