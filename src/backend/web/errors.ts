import { codeOfConnection } from "../../model/errno.ts";
import { type ErrorCode, PbError } from "../../model/error.ts";
import { retryAfterMs } from "../retry-after.ts";

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
  413: "no_space",
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

/** undici's own names. */
const OF_UNDICI: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_CONNECT_TIMEOUT: "timeout",
  UND_ERR_HEADERS_TIMEOUT: "timeout",
  UND_ERR_BODY_TIMEOUT: "timeout",
};

export interface At {
  readonly path: string;
  /** The remote's name. */
  readonly peer: string;
}

/** The server refused. @param retryAfter the header of this name */
export function statusError(status: number, at: At, retryAfter?: string): PbError {
  const code = BY_STATUS[status] ?? "io_error";
  const wait = retryAfterMs(retryAfter, Date.now());
  return new PbError(code, `${at.peer}: the server answered ${status}`, {
    ...at,
    ...(status === 401 ? { hint: "check the remote's user, password or token" } : {}),
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
    // A server's own failure may pass; what it says about the request does not.
    ...(status === 500 || status === 502 ? { retryable: true } : {}),
  });
}

/** No answer, or not all of it. */
export function transportError(caught: unknown, at: At): PbError {
  if (caught instanceof PbError) return caught;
  const { code, message, certificate } = failureOf(caught);
  if (certificate) {
    return new PbError("unauthenticated", `${at.peer}: the server's certificate is not trusted (${code})`, {
      ...at,
      hint: "set the remote's ca_file to the authority that signed it",
      cause: caught,
    });
  }
  const known = codeOfConnection(code) ?? OF_UNDICI[code] ?? "connection_lost";
  return new PbError(known, `${at.peer}: ${message}`, { ...at, cause: caught });
}

function failureOf(caught: unknown): {
  readonly code: string;
  readonly message: string;
  readonly certificate: boolean;
} {
  const seen = caught as {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly cause?: unknown;
  } | null;
  const code = typeof seen?.code === "string" ? seen.code : "";
  if (code === "" && seen?.cause !== undefined) return failureOf(seen.cause);
  const message = typeof seen?.message === "string" && seen.message !== "" ? seen.message : code;
  return { code, message, certificate: /CERT|SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)/.test(code) };
}
