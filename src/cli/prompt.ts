import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { PbError } from "../model/error.ts";
import type { Shell } from "./context.ts";
import { canAsk, type Terminal } from "./terminal.ts";

/**
 * For questions that are drawn (@clack/prompts), which hear of neither Ctrl-D nor the end of the input and would wait for ever: `signal` is aborted by both, and by the
 * caller's own.
 */
export function untilInputEnds(
  stdin: Terminal["stdin"],
  caller: AbortSignal,
): Disposable & { readonly signal: AbortSignal } {
  const ended = new AbortController();
  const end = () => ended.abort();
  const key = (_text: unknown, pressed: { readonly ctrl?: boolean; readonly name?: string } | undefined) => {
    if (pressed?.ctrl && pressed.name === "d") end();
  };
  stdin.on("keypress", key).on("end", end);
  return {
    signal: AbortSignal.any([caller, ended.signal]),
    [Symbol.dispose]: () => void stdin.off("keypress", key).off("end", end),
  };
}

/**
 * Asks a yes/no question on the terminal; no is the default.
 *
 * @throws PbError `usage` naming `flag` where nobody can be asked; `aborted` for a no
 */
export async function confirm(shell: Shell, question: string, flag: string): Promise<void> {
  if (!canAsk(shell.terminal)) {
    throw new PbError("usage", `${question.replace(/\?$/, "")}: nobody to ask; add ${flag}`, { peer: flag });
  }
  const { stdin, stderr } = shell.terminal;
  // The terminal itself edits the line: Ctrl-C stays a signal.
  const reader = createInterface({ input: stdin, output: stderr, terminal: false });
  const end = once(reader, "close").then(() => "");
  try {
    const answer = await Promise.race([reader.question(`${question} [y/N] `, { signal: shell.signal }), end]);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    reader.close();
  }
  throw new PbError("aborted", "not confirmed; nothing was changed");
}
