/** A program on a terminal of its own (util-linux's script makes one), typed to as a person would. */

import { spawnSync } from "node:child_process";
import { exited, type RunOptions, start } from "./process.ts";
import { untilTrue } from "./running.ts";

export const hasPty = () => spawnSync("script", ["--version"]).status === 0;

export const CTRL_C = "\x03";
export const CTRL_D = "\x04";
export const ENTER = "\r";
export const DOWN = "\x1b[B";

export interface Pty {
  /** All that was shown, without what colours and moves the cursor. */
  shown(): string;
  /** Waits until `question` is shown, after what was shown at the last answer, then types. */
  answer(question: string, keys: string): Promise<void>;
  /** Its exit code. */
  end(): Promise<number | null>;
}

/** Sequences of ECMA-48 that these programs use. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const CONTROL = /\x1b\[[?0-9;]*[A-Za-z]/g;

export function onPty(command: string, options: RunOptions): Pty {
  const inside = `stty cols 120 rows 50 && ${command}`;
  const env = { TERM: "xterm-256color", SHELL: "/bin/sh", ...options.env };
  const child = start("script", ["-qefc", inside, "/dev/null"], { ...options, env });
  let raw = "";
  let answered = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    raw += chunk.toString("utf8");
  });
  const shown = () => raw.replace(CONTROL, "");
  return {
    shown,
    async answer(question, keys) {
      const asks = async () => shown().indexOf(question, answered) >= 0;
      await untilTrue(`"${question}" in:\n${shown().slice(answered)}`, asks, 30_000);
      answered = shown().length;
      child.stdin?.write(keys);
    },
    async end() {
      const [code] = await exited(child);
      return code;
    },
  };
}
