/** The stable codes of `PbError`. The native engine and the API use the same texts. */
export const ERROR_CODES = [
  "not_found",
  "exists",
  "not_a_directory",
  "is_a_directory",
  "not_empty",
  "permission_denied",
  "read_only",
  "path_escapes",
  "invalid_path",
  "no_space",
  "too_many_open_files",
  "cross_device",
  "unsupported_kind",
  "same_file",
  "source_vanished",
  "source_changed",
  "verification_failed",
  "io_error",
  "fsync_failed",
  "unreachable",
  "timeout",
  "connection_lost",
  "protocol_violation",
  "unauthenticated",
  "token_invalid",
  "token_expired",
  "token_used",
  "revoked",
  "fingerprint_mismatch",
  "certificate_expired",
  "unknown_remote",
  "address_in_use",
  "aborted",
  "resource_exhausted",
  "corrupt_checkpoint",
  "unsupported_version",
  "wrong_job",
  "unsupported",
  "invalid_argument",
  "usage",
  "partial",
  "internal",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface PbErrorOptions {
  /** The path concerned, in `PathText` form (see path.ts). */
  readonly path?: string | undefined;
  /** The remote, host or flag concerned. */
  readonly peer?: string | undefined;
  /** What the user can do about it, one sentence. */
  readonly hint?: string | undefined;
  /** True when the same request may succeed later. Default: by code. */
  readonly retryable?: boolean;
  /** How long the endpoint wants to be left alone first (`Retry-After`), in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  "unreachable",
  "timeout",
  "connection_lost",
  "resource_exhausted",
  "too_many_open_files",
]);

/** The one error class. Decide by `code`, never by `message`. */
export class PbError extends Error {
  override readonly name = "PbError";
  readonly code: ErrorCode;
  readonly path: string | undefined;
  readonly peer: string | undefined;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: PbErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.path = options.path;
    this.peer = options.peer;
    this.hint = options.hint;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The same error with more known about what it concerns. */
  about(more: Pick<PbErrorOptions, "path" | "peer" | "hint">): PbError {
    const { path, peer, hint, retryable, retryAfterMs } = this;
    const known = { path, peer, hint, retryable, retryAfterMs, cause: this };
    return new PbError(this.code, this.message, { ...known, ...more });
  }

  /** Any caught value as a `PbError`; one that already is passes through. */
  static from(value: unknown, fallback: ErrorCode = "internal", options: PbErrorOptions = {}): PbError {
    if (value instanceof PbError) return value;
    const message = value instanceof Error ? value.message : String(value);
    if (isAbort(value)) return new PbError("aborted", "interrupted", { ...options, cause: value });
    return new PbError(fallback, message, { ...options, cause: value });
  }
}

function isAbort(value: unknown): boolean {
  return (
    value instanceof Error &&
    (value.name === "AbortError" || (value as { code?: unknown }).code === "ABORT_ERR")
  );
}

/** Is this text one of `ERROR_CODES`? Codes of a newer peer are not. */
export function isErrorCode(text: string): text is ErrorCode {
  return (ERROR_CODES as readonly string[]).includes(text);
}
