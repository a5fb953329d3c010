/**
 * Where the passphrase of an identity comes from, in this order: a descriptor (of a parent that knew it), `PB_CONFIG_PASS`, a
 * command's first line, a question on the terminal. The variable is taken out of the environment, so that no child gets it.
 */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { PbError } from "../../model/error.ts";

export interface PassphraseSource {
  /** Asked for once; undefined: nobody gives one. @throws PbError `unauthenticated` when the command fails */
  get(file: string): Promise<string | undefined>;
  /** The same without a question: for what is to be protected by it from now on. */
  given(): Promise<string | undefined>;
  /** What is known without running or asking anything: for a child, through a pipe. */
  known(): string | undefined;
  /** What was given opened nothing: a question may be asked again. */
  forget(): void;
}

export interface PassphraseOptions {
  readonly env: NodeJS.ProcessEnv;
  /** A shell command that prints it. */
  readonly command?: string | undefined;
  /** Read to its end. */
  readonly fd?: number | undefined;
  readonly ask?: ((question: string) => Promise<string | undefined>) | undefined;
}

const VARIABLE = "PB_CONFIG_PASS";
/** More is no passphrase but the wrong command. */
const MAX_BYTES = 64 * 1024;

export function passphraseSource({ env, command, fd, ask }: PassphraseOptions): PassphraseSource {
  const fromEnv = env[VARIABLE];
  delete env[VARIABLE];
  const given = fd === undefined ? fromEnv : firstLine(readFileSync(fd, "utf8"));
  const shell = command ?? env.PB_PASSWORD_COMMAND;
  let later: Promise<string | undefined> | undefined;
  let settled: string | undefined;

  async function obtain(file: string): Promise<string | undefined> {
    if (shell) return run(shell, env);
    return ask?.(`Passphrase of ${file}: `);
  }

  return {
    async get(file) {
      if (given) return given;
      later ??= obtain(file);
      settled = await later;
      return settled;
    },
    given: async () => given || (shell ? run(shell, env) : undefined),
    known: () => given || settled,
    forget() {
      later = undefined;
      settled = undefined;
    },
  };
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? "";
}

/** What it says on standard error is for the user; what it prints is not shown to anybody. */
function run(command: string, env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", command], { env, stdio: ["inherit", "pipe", "inherit"] });
    const fail = (why: string) => {
      reject(new PbError("unauthenticated", `--password-command ${why}`, { peer: "--password-command" }));
    };
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.length > MAX_BYTES) child.kill();
    });
    child.once("error", (cause) => fail(`cannot be run: ${cause.message}`));
    child.once("close", (code, signal) => {
      if (code !== 0) return fail(signal === null ? `ended with ${code}` : `was ended by ${signal}`);
      const line = firstLine(text);
      return line === "" ? fail("printed nothing") : resolve(line);
    });
  });
}
