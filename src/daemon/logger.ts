import { pino } from "pino";
import { PbError } from "../model/error.ts";
import { displayPath } from "../model/path.ts";

export type Logger = pino.Logger;

export interface LoggerOptions {
  readonly level: string;
  /** Undefined: standard error. */
  readonly file?: string | undefined;
}

/** Never written, wherever they turn up in a record (T4). */
const SECRETS = ["token", "key", "csr", "invite", "secret", "authorization", "clientRandom", "serverRandom"];

/** What waits while a log can't be written; of more the newest is lost. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** A line of JSON for each event. Names of files and clients go through `displayPath` first (T3). */
export function createLogger({ level, file }: LoggerOptions): Logger {
  // Synchronous, so that the last lines before an end are there; a server logs a few lines for each job.
  const lines = { sync: true, append: true, mode: 0o600, maxLength: MAX_WAITING_BYTES };
  const destination = pino.destination({ dest: file ?? 2, ...lines });
  // A server serves on when its log's disk is full, or its reader gone: what waits goes with the next line for which there is room.
  destination.on("error", () => undefined);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: "[secret]" },
      serializers: { err: errorRecord },
    },
    destination,
  );
}

function errorRecord(value: unknown): object {
  const error = PbError.from(value);
  const { code, path, peer } = error;
  return {
    code,
    message: displayPath(error.message),
    ...(path !== undefined && { path: displayPath(path) }),
    ...(peer !== undefined && { peer: displayPath(peer) }),
    // Where a fault of ours came from.
    ...(code === "internal" && error.cause instanceof Error && { stack: error.cause.stack }),
  };
}
