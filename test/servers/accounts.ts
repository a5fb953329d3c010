/**
 * An account that only one server sees: its own passwd, shadow and PAM files, bound over the machine's in a mount namespace of
 * that process. Needs root and util-linux.
 */

import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram } from "./program.ts";

/** As every account of the test servers: with root's rights, since they write what the tests prepare. */
export const USER = "boat";
export const PASSWORD = "pa55 w\u00f6rd";

/** Why `inNamespace` cannot be used; undefined when it can. */
export function namespaceMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  if (findProgram("unshare") === undefined) return "unshare (util-linux) is not installed";
  const may = spawnSync("unshare", ["-m", "mount", "--bind", "/etc/passwd", "/etc/passwd"]);
  return may.status === 0 ? undefined : "may not make mount namespaces here";
}

/** crypt(3) of a password. */
export function crypted(password: string): string {
  const made = spawnSync("openssl", ["passwd", "-6", "-stdin"], { input: password, encoding: "utf8" });
  if (made.status !== 0) throw new Error(`openssl passwd: ${made.stderr}`);
  return made.stdout.trim();
}

/** A line of a passwd file. */
export function passwdLine(name: string, hash: string, home: string): string {
  return `${name}:${hash}:0:0::${home}:/bin/sh\n`;
}

export interface Bound {
  readonly folder: string;
  readonly home: string;
  /** Of /etc/pam.d; must be there. */
  readonly pamService?: string;
  readonly program: string;
  readonly args: readonly string[];
}

/** What runs `program` where `USER` exists. */
export async function inNamespace(options: Bound): Promise<{ program: string; args: string[] }> {
  const at = (name: string) => join(options.folder, name);
  const system = "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n";
  const nobody =
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nftp:x:101:65534::/nonexistent:/bin/false\n";
  await writeFile(at("passwd"), system + nobody + passwdLine(USER, "x", options.home));
  await writeFile(at("shadow"), `root:*:19000::::::\n${USER}:${crypted(PASSWORD)}:19000::::::\n`, {
    mode: 0o600,
  });
  const binds = [`mount --bind passwd /etc/passwd`, `mount --bind shadow /etc/shadow`];
  if (options.pamService !== undefined) {
    await writeFile(
      at("pam"),
      "auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
    );
    binds.push(`mount --bind pam /etc/pam.d/${options.pamService}`);
  }
  const script = `${binds.join(" && ")} && exec "$0" "$@"`;
  return { program: "unshare", args: ["-m", "sh", "-c", script, options.program, ...options.args] };
}
