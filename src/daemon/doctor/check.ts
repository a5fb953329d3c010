import type { PbConnection } from "../../backend/pb/connection.ts";
import type { Check } from "../../model/actions.ts";
import { type ErrorCode, PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";

/** What a check has to look at. */
export interface LocalContext {
  readonly home: string;
  readonly signal: AbortSignal;
}

export interface RemoteContext extends LocalContext {
  readonly connection: PbConnection;
}

/** A finding without its name. */
export type Finding = Omit<Check, "name">;

export interface LocalCheck {
  readonly name: string;
  readonly run: (context: LocalContext) => Promise<Finding>;
}

export interface RemoteCheck {
  readonly name: string;
  readonly run: (context: RemoteContext) => Promise<Finding>;
}

export const ok = (detail: string): Finding => ({ status: "ok", detail });
export const warn = (detail: string, fix: string): Finding => ({ status: "warn", detail, fix });
export const fail = (detail: string, fix: string, code?: ErrorCode): Finding => ({
  status: "fail",
  detail,
  fix,
  ...(code && { code }),
});
export const skipped = (detail: string): Finding => ({ status: "skipped", detail });

/** What a check that threw has found; only an interruption goes on. */
export function findingOf(error: unknown): Finding {
  const { code, message, hint } = PbError.from(error);
  if (code === "aborted") throw error;
  return fail(`${displayPath(message)} (${code})`, hint ?? "see the message", code);
}
