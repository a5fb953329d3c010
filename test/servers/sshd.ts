/** openssh-server with keys, accounts and a configuration of its own. */

import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inNamespace, namespaceMissing } from "./accounts.ts";
import {
  findProgram,
  freePort,
  HERE,
  type RunningProgram,
  type ServerPlace,
  serverFolder,
  startProgram,
} from "./program.ts";

export interface SshServer extends RunningProgram {
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  /** Private keys that log in: without a passphrase, and with `PASSPHRASE`. */
  readonly key: string;
  readonly lockedKey: string;
  /** Its host key as a line of known_hosts has it: "ssh-ed25519 AAAA…". */
  readonly hostKey: string;
}

export const PASSPHRASE = "open \u2713 sesame";

/** Why it cannot be started; undefined when it can. */
export function available(): string | undefined {
  if (findProgram("sshd") === undefined) return "openssh-server is not installed";
  if (findProgram("ssh-keygen") === undefined) return "openssh-client is not installed";
  return namespaceMissing();
}

/** @param options.port of one that ran before: it then has changed its key */
export async function startSshd(
  options: { readonly port?: number; readonly place?: ServerPlace | undefined } = {},
): Promise<SshServer> {
  const { place = HERE } = options;
  const folder = await serverFolder("sshd");
  const port = options.port ?? (await freePort());
  const at = (name: string) => join(folder, name);
  makeKey(at("host"), "");
  makeKey(at("user"), "");
  makeKey(at("locked"), PASSPHRASE);
  const keys = [await readFile(at("user.pub"), "utf8"), await readFile(at("locked.pub"), "utf8")];
  await writeFile(at("authorized"), keys.join(""));
  await mkdir(at("home"));
  // sshd as root refuses to start without its separation folder.
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  await writeFile(at("config"), configuration({ port, address: place.address }, at));
  const sshd = { program: findProgram("sshd") ?? "sshd", args: ["-D", "-e", "-f", at("config")] };
  const bound = await inNamespace({ folder, home: at("home"), ...sshd });
  const program = await startProgram({ folder, port, place, ...bound });
  const hostKey = (await readFile(at("host.pub"), "utf8")).trim();
  return { ...program, host: place.address, port, folder, key: at("user"), lockedKey: at("locked"), hostKey };
}

function makeKey(file: string, passphrase: string): void {
  const made = spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", file]);
  if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr.toString()}`);
}

function configuration(
  { port, address }: { readonly port: number; readonly address: string },
  at: (name: string) => string,
): string {
  return [
    `Port ${port}`,
    `ListenAddress ${address}`,
    `HostKey ${at("host")}`,
    `AuthorizedKeysFile ${at("authorized")}`,
    `PidFile ${at("pid")}`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin yes",
    "PasswordAuthentication yes",
    "KbdInteractiveAuthentication no",
    // Many connections at once are the rule here.
    "MaxStartups 100",
    "Subsystem sftp internal-sftp",
    "",
  ].join("\n");
}
