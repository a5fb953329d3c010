import type { ErrorCode } from "../../model/error.ts";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";
import { STATUS } from "./packets.ts";
import { SftpStatus } from "./session.ts";

const CODES: Readonly<Record<number, ErrorCode>> = {
  [STATUS.noSuchFile]: "not_found",
  [STATUS.permissionDenied]: "permission_denied",
  [STATUS.badMessage]: "invalid_path",
  [STATUS.noConnection]: "connection_lost",
  [STATUS.connectionLost]: "connection_lost",
  [STATUS.unsupported]: "unsupported",
};

export interface About {
  /** As the caller named it. */
  readonly path: string;
  readonly peer: string;
}

/** A failed request as a `PbError`. The status "failure" says nothing: who knows more asks `isFailure` first. */
export function sftpError(error: unknown, { path, peer }: About): PbError {
  if (!(error instanceof SftpStatus)) return withPath(PbError.from(error, "io_error", { path, peer }), path);
  const code = CODES[error.status] ?? "io_error";
  const said = error.said === "" ? `status ${error.status}` : error.said;
  return new PbError(code, `the SFTP server says: ${displayPath(said)}`, { path, peer, cause: error });
}

export const isStatus = (error: unknown, status: number): boolean =>
  error instanceof SftpStatus && error.status === status;

export const isMissing = (error: unknown): boolean => isStatus(error, STATUS.noSuchFile);
/** Anything from "it exists" to "disk full". */
export const isFailure = (error: unknown): boolean => isStatus(error, STATUS.failure);

/** Errors of the connection know no path. */
function withPath(error: PbError, path: string): PbError {
  if (error.path !== undefined || error.code === "aborted") return error;
  return error.about({ path });
}
