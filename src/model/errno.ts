import type { ErrorCode } from "./error.ts";

const BY_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not_found",
  EEXIST: "exists",
  EACCES: "permission_denied",
  EPERM: "permission_denied",
  EROFS: "read_only",
  ENOSPC: "no_space",
  EDQUOT: "no_space",
  EMFILE: "too_many_open_files",
  ENFILE: "too_many_open_files",
  ENOTDIR: "not_a_directory",
  EISDIR: "is_a_directory",
};

/** The errno (`ENOENT`) of what a call of `node:fs` rejected with; undefined when it carries none. */
export function errnoOf(value: unknown): string | undefined {
  const code = value instanceof Error ? (value as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** What a failed call to the file system means; undefined where its errno says no more than that it failed. */
export function codeOfErrno(cause: unknown): ErrorCode | undefined {
  return BY_ERRNO[errnoOf(cause) ?? ""];
}

const OF_CONNECTIONS: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: "unreachable",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ENOTFOUND: "unreachable",
  EAI_AGAIN: "unreachable",
  ECONNRESET: "connection_lost",
  EPIPE: "connection_lost",
  ETIMEDOUT: "timeout",
};

/** What a connection's errno (`ECONNREFUSED`) means; undefined where it is none of a connection. */
export function codeOfConnection(errno: string): ErrorCode | undefined {
  return OF_CONNECTIONS[errno];
}
