/** `--batch FILE`: one transfer a line, each a job of its own, one after the other. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { PbError } from "../model/error.ts";
import { EXIT, type ExitCode, exitCodeOf, worstExit } from "../model/exit.ts";
import { displayPath } from "../model/path.ts";
import type { CliContext } from "./context.ts";
import { errorRecord } from "./render/receipt.ts";
import { plural } from "./render/units.ts";
import { errorText } from "./report.ts";
import { toPbError } from "./rpc-error.ts";
import { splitWords } from "./words/shell.ts";

export interface BatchLine {
  /** From 1. */
  readonly line: number;
  readonly words: readonly string[];
}

const STDIN = 0;

/** All lines before the first transfer: a slip in the last one must not be found after hours. @throws PbError `usage` */
export function readBatch(file: string, cwd: string): BatchLine[] {
  const lines: BatchLine[] = [];
  for (const [at, text] of readLines(file, cwd).entries()) {
    const line = at + 1;
    const words = splitWords(text, { file, line });
    if (words.length === 0) continue;
    if (words.length < 2) {
      throw new PbError("usage", `${file}, line ${line}: name at least one source and the destination`, {
        path: file,
      });
    }
    const option = words.find((word) => word.length > 1 && word.startsWith("-"));
    if (option !== undefined) {
      throw new PbError("usage", `${file}, line ${line}: ${option}: a line has places only`, {
        path: file,
        hint: "give options beside --batch, for all lines; a file of such a name is ./-NAME",
      });
    }
    if (words.includes("-")) {
      throw new PbError("usage", `${file}, line ${line}: a batch has no standard streams`, { path: file });
    }
    lines.push({ line, words });
  }
  if (lines.length === 0) throw new PbError("usage", `${file} names no transfer`, { path: file });
  return lines;
}

function readLines(file: string, cwd: string): string[] {
  try {
    return readFileSync(file === "-" ? STDIN : resolve(cwd, file), "utf8").split("\n");
  } catch (cause) {
    throw new PbError("usage", `--batch: cannot read ${file}: ${(cause as Error).message}`, {
      path: file,
      cause,
    });
  }
}

/** Runs one line: gives its record, and its exit code through the context it is given. */
export type RunLine = (context: CliContext, line: BatchLine) => Promise<Record<string, unknown>>;

interface Ended {
  readonly line: BatchLine;
  readonly code: ExitCode;
  readonly record: Record<string, unknown>;
}

/** The exit code is that of the worst line. An interruption pauses the line that runs, and leaves the rest. */
export async function runBatch(
  context: CliContext,
  lines: readonly BatchLine[],
  run: RunLine,
): Promise<void> {
  const { log, out, signal } = context;
  const ended: Ended[] = [];
  const rows = out.rows<Ended>({
    record: ({ line, record }) => ({ line: line.line, ...record }),
    text: () => "",
  });
  for (const line of lines) {
    if (signal.aborted) break;
    log.log("warn", `${line.line}: ${line.words.map(displayPath).join(" ")}`, {
      fields: { line: line.line },
    });
    const end = await runOne(context, line, run);
    ended.push(end);
    if (out.machine) await rows.push([end]);
  }
  if (out.machine) await rows.end();
  sayBatch(context, ended, lines.length);
  const codes = ended.map(({ code }) => code);
  context.setExitCode(worstExit(signal.aborted ? [...codes, EXIT.interrupted] : codes));
}

async function runOne(context: CliContext, line: BatchLine, run: RunLine): Promise<Ended> {
  let code: ExitCode = EXIT.ok;
  const setExitCode = (given: ExitCode) => {
    code = given;
  };
  try {
    const record = await run({ ...context, setExitCode }, line);
    return { line, code, record };
  } catch (cause) {
    const error = toPbError(cause);
    const aborted = context.signal.aborted || error.code === "aborted";
    if (!aborted) sayError(context, error);
    const record = { state: aborted ? "aborted" : "failed", errors: [errorRecord(error)] };
    return { line, code: aborted ? EXIT.interrupted : exitCodeOf(error.code), record };
  }
}

function sayError({ log }: CliContext, error: PbError): void {
  log.log("error", `pb: ${errorText(error)}`, { fields: { code: error.code } });
  if (error.hint) log.log("error", `    ${displayPath(error.hint)}`);
}

function sayBatch({ log }: CliContext, ended: readonly Ended[], all: number): void {
  const good = ended.filter(({ code }) => code === EXIT.ok).length;
  const bad = ended.filter(({ code }) => code !== EXIT.ok).map(({ line }) => line.line);
  const parts = [`${good} of ${plural(all, "transfer")} done`];
  if (bad.length > 0) parts.push(`not: line${bad.length === 1 ? "" : "s"} ${bad.join(", ")}`);
  if (ended.length < all) parts.push(`${all - ended.length} not begun`);
  log.log("warn", `batch     ${parts.join("   ")}`, { fields: { done: good, of: all } });
}
