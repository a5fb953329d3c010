/** How secrets come in: standard input, files, and questions on the terminal; never the command line. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { type Command, Option } from "commander";
import { MAX_TOKEN_CHARS } from "../model/actions.ts";
import { Secret } from "../model/endpoint.ts";
import { PbError } from "../model/error.ts";
import type { Shell } from "./context.ts";
import { untilInputEnds } from "./prompt.ts";
import { canAsk, type Terminal } from "./terminal.ts";

export interface SecretFlags {
  readonly stdin?: string | true;
  readonly secretFile?: readonly string[];
}

const collect = (value: string, before?: readonly string[]) => [...(before ?? []), value];

export function addSecretOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--stdin [name]",
        "read the secret of this name from standard input; without a name: lines NAME=VALUE",
      ),
    )
    .addOption(
      new Option(
        "--secret-file <name=file>",
        "take the secret of this name from a file; repeatable",
      ).argParser(collect),
    );
}

/** What the flags bring; empty where they bring nothing. @throws PbError `usage` naming the flag and never what was read */
export async function readSecrets(shell: Shell, flags: SecretFlags): Promise<Map<string, Secret>> {
  const secrets = new Map<string, Secret>();
  for (const given of flags.secretFile ?? []) {
    const [, name, file] = /^([a-z_]+)=(.+)$/s.exec(given) ?? [];
    if (name === undefined || file === undefined) throw new PbError("usage", "--secret-file: NAME=FILE");
    secrets.set(name, new Secret(whole(readFile(resolve(shell.cwd, file)), `--secret-file ${name}`)));
  }
  if (flags.stdin !== undefined) await readStandardInput(shell, { name: flags.stdin, secrets });
  const token = secrets.get("token")?.reveal();
  if (token === undefined) return secrets;
  if (token.length > MAX_TOKEN_CHARS)
    throw new PbError("usage", `what was given as the token is too long: ${token.length} characters`);
  if (TOKEN.test(token)) return secrets;
  throw new PbError(
    "usage",
    "what was given as the token is none: it has blanks, line ends or other characters",
  );
}

/** As it goes into a header: RFC 6750, section 2.1, with what issuers of their own use besides. */
const TOKEN = /^[\x21-\x7e]+$/;

async function readStandardInput(
  shell: Shell,
  { name, secrets }: { readonly name: string | true; readonly secrets: Map<string, Secret> },
): Promise<void> {
  const read = await text(shell.terminal.stdin);
  if (name !== true) {
    secrets.set(name, new Secret(whole(read, `--stdin ${name}`)));
    return;
  }
  for (const line of read.split(/\r?\n/)) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, each, value] = /^\s*([a-z_]+)\s*=\s?(.*)$/.exec(line) ?? [];
    if (each === undefined || !value) throw new PbError("usage", "--stdin: a line there is not NAME=VALUE");
    secrets.set(each, new Secret(value));
  }
}

function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new PbError("usage", `--secret-file: cannot read ${file}: ${(cause as Error).message}`, {
      path: file,
      cause,
    });
  }
}

/** The end of the line is not of a password, but is of a key. */
function whole(read: string, flag: string): string {
  const found = read.includes("-----BEGIN ") ? read : read.replace(/\r?\n$/, "");
  if (found === "") throw new PbError("usage", `${flag}: nothing came`);
  return found;
}

/** Asks without showing what is typed. @throws PbError `aborted`; `usage` naming `instead` where nobody can be asked */
export async function askSecret(
  { terminal, signal }: { readonly terminal: Terminal; readonly signal: AbortSignal },
  question: string,
  instead: string,
): Promise<string> {
  if (!canAsk(terminal)) throw new PbError("usage", `${question}: nobody to ask; give ${instead}`);
  const { password, isCancel } = await import("@clack/prompts");
  const { stdin: input, stderr: output } = terminal;
  using asking = untilInputEnds(input, signal);
  const answer = await password({ message: question, input, output, signal: asking.signal });
  if (!isCancel(answer)) {
    // ENTER on an empty line is no secret: kept, it would be sent as an empty password.
    if (!answer) throw new PbError("usage", `${question}: nothing was typed; nothing was changed`);
    return answer;
  }
  throw new PbError("aborted", "nothing was changed");
}

/** Twice, as nobody sees what was typed. */
export async function askNewPassphrase(shell: Shell): Promise<Secret> {
  const instead = "PB_CONFIG_PASS or --password-command";
  const first = await askSecret(shell, "New passphrase", instead);
  if (first === (await askSecret(shell, "Once more", instead))) return new Secret(first);
  throw new PbError("usage", "the two were not the same; nothing was changed");
}
