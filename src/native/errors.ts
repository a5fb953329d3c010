import { getSystemErrorMap } from "node:util";
import { type ErrorCode, isErrorCode, PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";

/** What people read; the path is beside it in `PbError.path`. */
const TEXTS: Partial<Record<ErrorCode, string>> = {
  not_found: "no such file or folder",
  exists: "exists already",
  not_a_directory: "not a folder",
  is_a_directory: "is a folder",
  not_empty: "the folder is not empty",
  permission_denied: "permission denied",
  read_only: "this place is read-only",
  path_escapes: "leads out of its root",
  invalid_path: "not a valid path",
  no_space: "no space left on the device",
  too_many_open_files: "too many open files",
  cross_device: "is on another file system",
  unsupported_kind: "not a file, folder or link",
  same_file: "source and destination are the same file",
  source_vanished: "was there when it was listed, and is gone",
  source_changed: "changed while it was read",
  fsync_failed: "could not be put on disk",
  aborted: "interrupted",
};

const HINTS: Partial<Record<ErrorCode, string>> = {
  too_many_open_files: "Raise the limit of open files (ulimit -n).",
  not_empty: "Remove what is in it too: --recursive.",
};

export interface NativeFailure {
  readonly code: string;
  /** Relative to the root concerned. */
  readonly path?: Uint8Array;
  readonly op?: string;
  readonly errno?: number;
  readonly message?: string;
  readonly cause?: unknown;
}

/** What the engine reported, as a `PbError`. */
export function nativeFailure(failure: NativeFailure): PbError {
  const code = isErrorCode(failure.code) ? failure.code : "internal";
  const hint = HINTS[code];
  return new PbError(code, TEXTS[code] ?? described(failure), {
    ...(failure.path === undefined ? {} : { path: pathText(failure.path) }),
    ...(hint === undefined ? {} : { hint }),
    ...(failure.cause === undefined ? {} : { cause: failure.cause }),
  });
}

function described({ op, errno, message }: NativeFailure): string {
  const name = errno === undefined ? undefined : getSystemErrorMap().get(-errno);
  if (!name) return message ?? "the engine failed";
  return `${op ?? "operation"} failed: ${name[1]} (${name[0]})`;
}

/** Any value that a call into the addon threw or rejected with, as a `PbError`. */
export function fromNative(value: unknown): PbError {
  if (value instanceof PbError || !(value instanceof Error)) return PbError.from(value);
  const { code, detail } = value as { code?: unknown; detail?: unknown };
  if (typeof code !== "string" || typeof detail !== "string") return PbError.from(value);
  const { path, op, errno } = JSON.parse(detail) as { path?: string; op?: string; errno?: number };
  return nativeFailure({
    code,
    ...(path === undefined ? {} : { path: Buffer.from(path, "base64") }),
    ...(op === undefined ? {} : { op }),
    ...(errno === undefined ? {} : { errno }),
    message: value.message,
    cause: value,
  });
}
