import { createColors } from "picocolors";
import type { PbError } from "../model/error.ts";
import { type ExitCode, exitCodeOf } from "../model/exit.ts";
import { formatLocation } from "../model/location.ts";
import { displayPath } from "../model/path.ts";
import { errorRecord } from "./render/receipt.ts";
import { type Terminal, wantsColor } from "./terminal.ts";

export interface ReportOptions {
  readonly terminal: Terminal;
  /** A JSON object on one line instead of text. */
  readonly json: boolean;
  /** Show causes and the stack. */
  readonly debug: boolean;
}

/** Says on standard error what went wrong and what to do; gives the exit code. */
export function reportError(error: PbError, { terminal, json, debug }: ReportOptions): ExitCode {
  const exitCode = exitCodeOf(error.code);
  if (json) {
    terminal.stderr.write(`${JSON.stringify({ error: { ...errorRecord(error), exitCode } })}\n`);
    return exitCode;
  }
  const colors = createColors(wantsColor(terminal.stderr, terminal.env));
  terminal.stderr.write(`${colors.red("pb:")} ${errorText(error)}\n`);
  if (error.hint) terminal.stderr.write(`    ${displayPath(error.hint)}\n`);
  if (debug) terminal.stderr.write(`${colors.dim(causes(error))}\n`);
  return exitCode;
}

/** The message, with the thing concerned in front where the message does not name it. */
export function errorText(error: PbError): string {
  const message = displayPath(error.message);
  const named = error.path || error.peer;
  if (!named || message.includes(displayPath(named))) return message;
  const thing = displayPath(thingOf(error));
  // What an endpoint says of itself, beside a place of it.
  const itself = `${displayPath(error.peer ?? "")}:`;
  const says = thing.startsWith(itself) && message.startsWith(`${itself} `);
  return `${thing}: ${says ? message.slice(itself.length + 1) : message}`;
}

/** What a remote says of its path `/x` is about `box:/x`. A peer may also be a flag of the command line. */
function thingOf({ path, peer }: PbError): string {
  if (!path) return peer ?? "";
  const ofRemote = peer && !peer.startsWith("-") && path.startsWith("/");
  return ofRemote ? formatLocation({ kind: "remote", remote: peer, path }) : path;
}

function causes(error: PbError): string {
  const lines = [`code ${error.code}${error.retryable ? ", retryable" : ""}`];
  for (let at: unknown = error; at instanceof Error; at = at.cause) lines.push(at.stack ?? String(at));
  return lines.join("\ncaused by ");
}
