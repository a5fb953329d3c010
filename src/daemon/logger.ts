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

/** A line of JSON for each event. Names of files and clients go through `displayPath` first (T3). */
export function createLogger({ level, file }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: "[secret]" },
      serializers: { err: errorRecord },
    },
    // Synchronous, so that the last lines before an end are there; a server logs a few lines for each job.
    pino.destination({ dest: file ?? 2, sync: true, append: true, mode: 0o600 }),
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
