/** What a server is told: flag before environment before configuration file before default. */

import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse } from "smol-toml";
import { fileError } from "../credential/files.ts";
import { DEFAULT_REFRESH_SECONDS } from "../credential/jwt/issuer.ts";
import type { ServeOptions } from "../model/actions.ts";
import { PbError } from "../model/error.ts";

export interface ServeSettings {
  readonly roots: readonly string[];
  /** Undefined: the default, with its fallback. */
  readonly listen: string | undefined;
  readonly advertise: readonly string[];
  readonly state: string;
  readonly logLevel: string;
  readonly logFile: string | undefined;
  readonly drainSeconds: number;
  /** What arrived of an unfinished job is kept so long after its last sign of life. */
  readonly keepSeconds: number;
  /** Whose tokens are accepted, besides the server's own. */
  readonly jwtIssuers: readonly string[];
  readonly jwtAudiences: readonly string[];
  /** Keys from a URL are asked for again after so long. */
  readonly jwtRefreshSeconds: number;
}

export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
/** Running jobs get this long after SIGTERM; service managers kill after 90 s. */
const DEFAULT_DRAIN_SECONDS = 30;
/** Nothing that is to stop goes on for longer. */
const MAX_DRAIN_SECONDS = 86_400;
/** 30 days, as long as a client knows of its job. */
const DEFAULT_KEEP_SECONDS = 30 * 86_400;
/** Less is a burden to the issuer; after more, a key that it has withdrawn would sign for too long. */
const REFRESH_BOUNDS_SECONDS = { least: 1, most: 86_400 };

export interface ResolveOptions {
  readonly options: Omit<ServeOptions, "signal" | "onReady">;
  readonly env: NodeJS.ProcessEnv;
  /** State folder when nothing names one. */
  readonly defaultState: string;
}

/** @throws PbError `invalid_argument` naming the file and key, or the variable */
export async function resolveServe({ options, env, defaultState }: ResolveOptions): Promise<ServeSettings> {
  const file = options.config ?? (env.PB_CONFIG || undefined);
  const config = file === undefined ? {} : await readConfig(resolve(file));
  const roots = [options.roots, list(env.PB_ROOTS), config.roots].find((each) => each && each.length > 0);
  const level = options.logLevel ?? (env.PB_LOG_LEVEL || config.logLevel) ?? "info";
  if (!LOG_LEVELS.some((known) => known === level)) {
    throw new PbError("invalid_argument", `"${level}" is no log level: ${LOG_LEVELS.join(", ")}`);
  }
  return {
    roots: roots ?? [],
    listen: options.listen ?? (env.PB_LISTEN || config.listen),
    advertise: options.advertise ?? list(env.PB_ADVERTISE) ?? config.advertise ?? [],
    state: resolve(options.state ?? (env.PB_STATE || config.state) ?? defaultState),
    logLevel: level,
    logFile: options.logFile ?? (env.PB_LOG_FILE || config.logFile),
    drainSeconds: drainSeconds(options.drainSeconds ?? seconds("PB_DRAIN", env) ?? config.drainSeconds),
    keepSeconds:
      options.keepSeconds ?? seconds("PB_KEEP_HISTORY", env) ?? config.keepSeconds ?? DEFAULT_KEEP_SECONDS,
    jwtIssuers: (options.jwtIssuers ?? list(env.PB_JWT_ISSUER) ?? config.jwtIssuers ?? []).map(issuerPath),
    jwtAudiences: options.jwtAudiences ?? list(env.PB_JWT_AUDIENCE) ?? config.jwtAudiences ?? [],
    jwtRefreshSeconds: refreshSeconds(
      options.jwtRefreshSeconds ?? seconds("PB_JWT_REFRESH", env) ?? config.jwtRefreshSeconds,
    ),
  };
}

function drainSeconds(asked = DEFAULT_DRAIN_SECONDS): number {
  if (asked <= MAX_DRAIN_SECONDS) return asked;
  throw new PbError("invalid_argument", `a server that is to stop drains for at most a day, not ${asked} s`, {
    peer: "--drain",
    hint: "set --drain (PB_DRAIN, drain_seconds) to 0s to 1d",
  });
}

function refreshSeconds(asked = DEFAULT_REFRESH_SECONDS): number {
  const { least, most } = REFRESH_BOUNDS_SECONDS;
  if (asked >= least && asked <= most) return asked;
  throw new PbError(
    "invalid_argument",
    `keys of tokens are asked for again after ${least} s to ${most} s, not ${asked} s`,
    { peer: "--jwt-refresh", hint: "set --jwt-refresh (PB_JWT_REFRESH, jwt_refresh_seconds) to 1s to 1d" },
  );
}

function issuerPath(issuer: string): string {
  return issuer.includes("://") ? issuer : resolve(issuer);
}

/** Comma-separated. */
function list(text: string | undefined): string[] | undefined {
  return text ? text.split(",").filter((item) => item !== "") : undefined;
}

function seconds(name: string, env: NodeJS.ProcessEnv): number | undefined {
  const text = env[name];
  if (!text) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new PbError("invalid_argument", `${name} is a number of seconds, not "${text}"`);
}

interface FileConfig {
  readonly roots?: readonly string[] | undefined;
  readonly listen?: string | undefined;
  readonly advertise?: readonly string[] | undefined;
  readonly state?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logFile?: string | undefined;
  readonly drainSeconds?: number | undefined;
  readonly keepSeconds?: number | undefined;
  readonly jwtIssuers?: readonly string[] | undefined;
  readonly jwtAudiences?: readonly string[] | undefined;
  readonly jwtRefreshSeconds?: number | undefined;
}

async function readConfig(file: string): Promise<FileConfig> {
  const raw = await readToml(file);
  const { z } = await import("zod");
  const shape = z.strictObject({
    root: z.string().min(1).optional(),
    roots: z.record(z.string(), z.string().min(1)).optional(),
    listen: z.string().min(1).optional(),
    advertise: z.array(z.string().min(1)).optional(),
    state: z.string().min(1).optional(),
    log_level: z.enum(LOG_LEVELS).optional(),
    log_file: z.string().min(1).optional(),
    drain_seconds: z.number().min(0).optional(),
    keep_history_seconds: z.number().min(0).max(1e9).optional(),
    jwt_issuers: z.array(z.string().min(1)).optional(),
    jwt_audiences: z.array(z.string().min(1)).optional(),
    jwt_refresh_seconds: z.number().optional(),
  });
  const result = shape.safeParse(raw);
  if (!result.success) {
    const [issue] = result.error.issues;
    const key = issue?.path.join(".");
    throw new PbError(
      "invalid_argument",
      `${file}: ${key ? `${key}: ` : ""}${issue?.message ?? "not valid"}`,
      {
        path: file,
      },
    );
  }
  const { root, roots = {}, state, log_file, ...rest } = result.data;
  // What a file names relatively is beside the file.
  const beside = (path: string) => resolve(dirname(file), path);
  const named = Object.entries(roots).map(([name, directory]) => `${name}=${beside(directory)}`);
  return {
    roots: root === undefined ? named : [beside(root), ...named],
    listen: rest.listen,
    advertise: rest.advertise,
    state: state && beside(state),
    logLevel: rest.log_level,
    logFile: log_file && beside(log_file),
    drainSeconds: rest.drain_seconds,
    keepSeconds: rest.keep_history_seconds,
    jwtIssuers: rest.jwt_issuers?.map((issuer) => (issuer.includes("://") ? issuer : beside(issuer))),
    jwtAudiences: rest.jwt_audiences,
    jwtRefreshSeconds: rest.jwt_refresh_seconds,
  };
}

async function readToml(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw fileError(cause, file);
  }
  try {
    return parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new PbError("invalid_argument", `${file} is not valid TOML: ${why}`, { path: file, cause });
  }
}
