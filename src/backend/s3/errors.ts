import { STATUS_CODES } from "node:http";
import { codeOfConnection } from "../../model/errno.ts";
import { type ErrorCode, PbError } from "../../model/error.ts";
import { retryAfterMs } from "../retry-after.ts";

/**
 * S3's codes (API reference, "Error responses") and what compatible servers add. A HEAD has no body, so its error has only a status.
 */
const BY_NAME: Readonly<Record<string, ErrorCode>> = {
  NoSuchKey: "not_found",
  NoSuchBucket: "not_found",
  NoSuchUpload: "not_found",
  NotFound: "not_found",
  BucketAlreadyExists: "exists",
  BucketAlreadyOwnedByYou: "exists",
  BucketNotEmpty: "not_empty",
  AccessDenied: "permission_denied",
  AllAccessDisabled: "permission_denied",
  AccountProblem: "permission_denied",
  MethodNotAllowed: "read_only",
  InvalidAccessKeyId: "unauthenticated",
  SignatureDoesNotMatch: "unauthenticated",
  // versitygw's InvalidAccessKeyId, with a 404.
  XAdminUserNotFound: "unauthenticated",
  InvalidToken: "token_invalid",
  ExpiredToken: "token_expired",
  TokenRefreshRequired: "token_expired",
  RequestTimeTooSkewed: "unauthenticated",
  CredentialsProviderError: "unauthenticated",
  PreconditionFailed: "source_changed",
  InvalidRange: "source_changed",
  BadDigest: "verification_failed",
  XAmzContentChecksumMismatch: "verification_failed",
  InvalidBucketName: "invalid_path",
  KeyTooLongError: "invalid_path",
  QuotaExceeded: "no_space",
  InsufficientStorage: "no_space",
  SlowDown: "resource_exhausted",
  TooManyRequests: "resource_exhausted",
  ServiceUnavailable: "resource_exhausted",
  InternalError: "io_error",
  RequestTimeout: "timeout",
  TimeoutError: "timeout",
  NotImplemented: "unsupported",
  PermanentRedirect: "invalid_argument",
  TemporaryRedirect: "unreachable",
  AuthorizationHeaderMalformed: "invalid_argument",
};

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  301: "invalid_argument",
  302: "unreachable",
  307: "unreachable",
  308: "invalid_argument",
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  405: "read_only",
  409: "exists",
  412: "source_changed",
  416: "source_changed",
  429: "resource_exhausted",
  501: "unsupported",
  503: "resource_exhausted",
  507: "no_space",
};

const ELSEWHERE = "the bucket is in another region: set the remote's `region` (and `endpoint`)";

const HINTS: Readonly<Record<string, string>> = {
  RequestTimeTooSkewed: "set this machine's clock: S3 refuses signatures that are 15 minutes off",
  PermanentRedirect: ELSEWHERE,
  TemporaryRedirect: ELSEWHERE,
  AuthorizationHeaderMalformed: ELSEWHERE,
  InvalidAccessKeyId: "check the remote's access key",
  XAdminUserNotFound: "check the remote's access key",
  SignatureDoesNotMatch: "check the remote's secret key",
  CredentialsProviderError: "give the remote keys, or log in with the tool that your profile names",
};

const REFUSED =
  "a bucket's name has 3 to 63 small letters, digits, dots and hyphens; else the region or the keys may be wrong";
const FORBIDDEN =
  "the remote's keys are wrong, or have no right to this (S3 does not tell which where it sends no words)";
const FULL =
  "make room at the server or raise its quota: the parts of a file and the whole may both need room for a while";
const FAILING =
  "it failed so each time it was asked: the server's log says why; when that is mended, transfer again";

/** Where the server's own word for it has no hint. */
function hintOf(code: ErrorCode, status: number): string | undefined {
  if (status > 300 && status < 400) return ELSEWHERE;
  if (code === "no_space") return FULL;
  if (status === 400) return REFUSED;
  if (status === 403) return FORBIDDEN;
  return code === "io_error" && status >= 500 ? FAILING : undefined;
}

/** What the client of S3 threw, as a `PbError` that names the remote and the path. */
export function s3Error(caught: unknown, at: { readonly path: string; readonly peer: string }): PbError {
  if (caught instanceof PbError) return caught;
  const name = field(caught, "name") ?? "";
  if (name === "AbortError") return new PbError("aborted", "interrupted", { cause: caught });
  const status = statusOf(caught);
  const errno = field(caught, "code") ?? "";
  const code: ErrorCode =
    BY_NAME[name] ??
    codeOfConnection(errno) ??
    (status === undefined ? undefined : (BY_STATUS[status] ?? unreadable(status))) ??
    "io_error";
  const hint = HINTS[name] ?? hintOf(code, status ?? 0);
  const wait = retryAfterMs(headerOf(caught, "retry-after"), Date.now());
  return new PbError(code, `${at.peer === "" ? "s3" : at.peer}: ${wordsOf(caught, name, status)}`, {
    ...at,
    ...(hint === undefined ? {} : { hint }),
    // A server's own failure may pass; what it says about the request does not.
    ...(mayPass(code, status) ? { retryable: true } : {}),
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
    cause: caught,
  });
}

/** A success that the SDK could not read. */
const unreadable = (status: number): ErrorCode | undefined =>
  status >= 200 && status < 300 ? "protocol_violation" : undefined;

/** What did not arrive as it was sent may do so the next time. */
const mayPass = (code: ErrorCode, status = 0) =>
  code === "verification_failed" || (code === "io_error" && status >= 500);

function headerOf(caught: unknown, name: string): string | undefined {
  const response = (caught as { readonly $response?: { readonly headers?: unknown } } | null)?.$response;
  const value = (response?.headers as Readonly<Record<string, unknown>> | undefined)?.[name];
  return typeof value === "string" ? value : undefined;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof PbError && error.code === "not_found";
}

/** What the SDK says where the server said nothing. */
const NO_WORDS: ReadonlySet<string> = new Set(["UnknownError", "Unknown"]);

function wordsOf(caught: unknown, name: string, status: number | undefined): string {
  const message = field(caught, "message");
  const known = [message, name].find((words) => words && !NO_WORDS.has(words));
  // The answer to a HEAD has no body that could say more.
  if (known === undefined && status !== undefined)
    return `the server answered ${status}${STATUS_CODES[status] ? ` ${STATUS_CODES[status]}` : ""}`;
  if (known === undefined) return name;
  return status === undefined || status < 400 ? known : `${known} (${status})`;
}

function statusOf(caught: unknown): number | undefined {
  const metadata = (caught as { readonly $metadata?: { readonly httpStatusCode?: unknown } } | null)
    ?.$metadata;
  return typeof metadata?.httpStatusCode === "number" ? metadata.httpStatusCode : undefined;
}

function field(caught: unknown, key: "name" | "message" | "code"): string | undefined {
  const value = (caught as Record<string, unknown> | null)?.[key];
  return typeof value === "string" ? value : undefined;
}
