import type { ErrorCode } from "./error.ts";

/** Exit codes of the command line; documented in README.md. */
export const EXIT = {
  ok: 0,
  general: 1,
  usage: 2,
  notFound: 3,
  authentication: 4,
  temporary: 5,
  partial: 6,
  fatal: 7,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_CODE: Partial<Record<ErrorCode, ExitCode>> = {
  usage: EXIT.usage,
  invalid_argument: EXIT.usage,
  unknown_remote: EXIT.usage,
  not_found: EXIT.notFound,
  unauthenticated: EXIT.authentication,
  token_invalid: EXIT.authentication,
  token_expired: EXIT.authentication,
  token_used: EXIT.authentication,
  revoked: EXIT.authentication,
  fingerprint_mismatch: EXIT.authentication,
  certificate_expired: EXIT.authentication,
  unreachable: EXIT.temporary,
  timeout: EXIT.temporary,
  connection_lost: EXIT.temporary,
  resource_exhausted: EXIT.temporary,
  too_many_open_files: EXIT.temporary,
  partial: EXIT.partial,
  no_space: EXIT.fatal,
  protocol_violation: EXIT.fatal,
  internal: EXIT.fatal,
  aborted: EXIT.interrupted,
};

/** From bad to worst: the more a person must do about it. */
const BY_WEIGHT: readonly ExitCode[] = [
  EXIT.ok,
  EXIT.partial,
  EXIT.temporary,
  EXIT.notFound,
  EXIT.general,
  EXIT.usage,
  EXIT.authentication,
  EXIT.fatal,
  EXIT.interrupted,
];

/** Of several things done in one command. */
export function worstExit(codes: readonly ExitCode[]): ExitCode {
  return codes.reduce((a, b) => (BY_WEIGHT.indexOf(b) > BY_WEIGHT.indexOf(a) ? b : a), EXIT.ok);
}

/** The exit code of an error code; 1 where nothing more is known. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  return BY_CODE[code] ?? EXIT.general;
}
