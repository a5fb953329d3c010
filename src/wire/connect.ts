/** The one mapping between `PbError` and what an API call fails with; used by servers and clients alike. */

import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../gen/packetboat/v1/types_pb.ts";
import { type ErrorCode, PbError, type PbErrorOptions } from "../model/error.ts";
import { errorFromWire, errorToWire } from "./error.ts";

const STATUS: Partial<Record<ErrorCode, Code>> = {
  not_found: Code.NotFound,
  exists: Code.AlreadyExists,
  not_a_directory: Code.FailedPrecondition,
  is_a_directory: Code.FailedPrecondition,
  not_empty: Code.FailedPrecondition,
  cross_device: Code.FailedPrecondition,
  unsupported_kind: Code.FailedPrecondition,
  same_file: Code.FailedPrecondition,
  permission_denied: Code.PermissionDenied,
  read_only: Code.PermissionDenied,
  path_escapes: Code.PermissionDenied,
  revoked: Code.PermissionDenied,
  invalid_path: Code.InvalidArgument,
  invalid_argument: Code.InvalidArgument,
  usage: Code.InvalidArgument,
  unknown_remote: Code.InvalidArgument,
  no_space: Code.ResourceExhausted,
  too_many_open_files: Code.ResourceExhausted,
  resource_exhausted: Code.ResourceExhausted,
  unreachable: Code.Unavailable,
  connection_lost: Code.Unavailable,
  timeout: Code.DeadlineExceeded,
  unauthenticated: Code.Unauthenticated,
  token_invalid: Code.Unauthenticated,
  token_expired: Code.Unauthenticated,
  token_used: Code.Unauthenticated,
  fingerprint_mismatch: Code.Unauthenticated,
  certificate_expired: Code.Unauthenticated,
  corrupt_checkpoint: Code.DataLoss,
  unsupported_version: Code.FailedPrecondition,
  wrong_job: Code.FailedPrecondition,
  aborted: Code.Canceled,
  unsupported: Code.Unimplemented,
  source_vanished: Code.Aborted,
  source_changed: Code.Aborted,
  verification_failed: Code.DataLoss,
};

/** What a peer without our details may have meant. */
const MEANING: Partial<Record<Code, ErrorCode>> = {
  [Code.Canceled]: "aborted",
  [Code.InvalidArgument]: "invalid_argument",
  [Code.DeadlineExceeded]: "timeout",
  [Code.NotFound]: "not_found",
  [Code.AlreadyExists]: "exists",
  [Code.PermissionDenied]: "permission_denied",
  [Code.ResourceExhausted]: "resource_exhausted",
  [Code.Aborted]: "connection_lost",
  [Code.Unimplemented]: "unsupported",
  [Code.Unavailable]: "unreachable",
  [Code.Unauthenticated]: "unauthenticated",
};

const LOST: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "ERR_HTTP2_STREAM_CANCEL",
  "ERR_HTTP2_STREAM_ERROR",
  "ERR_HTTP2_SESSION_ERROR",
  "ERR_HTTP2_INVALID_SESSION",
  "ERR_HTTP2_INVALID_STREAM",
  "ERR_HTTP2_GOAWAY_SESSION",
  "ERR_STREAM_PREMATURE_CLOSE",
]);

/** What a service throws, as the API sends it. Causes stay at home: only code, message, path, peer and hint travel. */
export function toConnectError(value: unknown): ConnectError {
  if (value instanceof ConnectError) return value;
  const error = PbError.from(value);
  return new ConnectError(
    error.message,
    STATUS[error.code] ?? Code.Internal,
    undefined,
    [{ desc: ErrorInfoSchema, value: errorToWire(error) }],
    error,
  );
}

/** What a call failed with, as a `PbError`; `options.peer` names the server where the error does not. */
export function fromConnectError(value: unknown, options: PbErrorOptions = {}): PbError {
  const inner = findCause(value);
  if (inner) return inner;
  if (!(value instanceof ConnectError)) return PbError.from(value, "internal", options);
  const [info] = value.findDetails(ErrorInfoSchema);
  if (info) return errorFromWire(info, options.peer);
  const code = isLost(value) ? "connection_lost" : (MEANING[value.code] ?? "internal");
  return new PbError(code, value.rawMessage, { ...options, cause: value });
}

/**
 * What a call over a connection failed with. HTTP/2 shows a connection that broke as a cancelled call; it was cancelled only
 * if this side did so.
 */
export function fromPeerError(
  value: unknown,
  { peer, signal }: { readonly peer: string; readonly signal?: AbortSignal | undefined },
): PbError {
  if (signal?.aborted) {
    return signal.reason instanceof PbError
      ? signal.reason
      : new PbError("aborted", "interrupted", { cause: signal.reason });
  }
  if (value instanceof ConnectError && value.code === Code.Canceled && !findCause(value)) {
    const [info] = value.findDetails(ErrorInfoSchema);
    if (!info)
      return new PbError("connection_lost", `the connection to ${peer} broke`, { peer, cause: value });
  }
  return fromConnectError(value, { peer });
}

/** The `PbError` that a connection threw on this side, if one is in the chain of causes. */
function findCause(value: unknown): PbError | undefined {
  for (let at = value, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    if (at instanceof PbError) return at;
  }
  return undefined;
}

function isLost(value: unknown): boolean {
  for (let at = value, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string" && LOST.has(code)) return true;
  }
  return false;
}
