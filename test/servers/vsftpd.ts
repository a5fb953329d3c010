/** vsftpd: no MLSD, and over TLS it insists that data connections reuse the control connection's session. */

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inNamespace, namespaceMissing } from "./accounts.ts";
import { makeCertificate } from "./certificate.ts";
import {
  findProgram,
  freePort,
  HERE,
  type RunningProgram,
  type ServerPlace,
  serverFolder,
  startProgram,
} from "./program.ts";

export interface FtpServer extends RunningProgram {
  readonly host: string;
  readonly port: number;
  /** Its own; `home` is the account's. */
  readonly folder: string;
  /** Of its certificate; "" without TLS. */
  readonly authority: string;
}

export interface StartFtp {
  readonly tls: "none" | "explicit" | "implicit";
  readonly place?: ServerPlace | undefined;
}

/** Why it cannot be started; undefined when it can. */
export function available(): string | undefined {
  if (findProgram("vsftpd") === undefined) return "vsftpd is not installed";
  if (!existsSync("/etc/pam.d/vsftpd")) return "/etc/pam.d/vsftpd is not there";
  return namespaceMissing();
}

export async function startVsftpd({ tls, place = HERE }: StartFtp): Promise<FtpServer> {
  const folder = await serverFolder("vsftpd");
  const port = await freePort();
  const at = (name: string) => join(folder, name);
  await mkdir(at("home"));
  await mkdir(at("empty"), { mode: 0o755 });
  const { certificate, key, pem } = await makeCertificate(folder);
  const lines = [
    ...plain({ port, address: place.address }, at),
    ...(tls === "none" ? [] : secured({ certificate, key, implicit: tls === "implicit" })),
  ];
  await writeFile(at("config"), `${lines.join("\n")}\n`);
  const vsftpd = { program: findProgram("vsftpd") ?? "vsftpd", args: [at("config")] };
  const bound = await inNamespace({ folder, home: at("home"), pamService: "vsftpd", ...vsftpd });
  const program = await startProgram({ folder, port, place, ...bound });
  return { ...program, host: place.address, port, folder, authority: tls === "none" ? "" : pem };
}

function plain(
  { port, address }: { readonly port: number; readonly address: string },
  at: (name: string) => string,
): string[] {
  return [
    "listen=YES",
    "listen_ipv6=NO",
    `listen_address=${address}`,
    `listen_port=${port}`,
    "background=NO",
    "anonymous_enable=NO",
    "local_enable=YES",
    "write_enable=YES",
    "local_umask=022",
    "mdtm_write=YES",
    "force_dot_files=YES",
    "use_localtime=NO",
    "pam_service_name=vsftpd",
    "seccomp_sandbox=NO",
    "xferlog_enable=NO",
    `secure_chroot_dir=${at("empty")}`,
    "log_ftp_protocol=YES",
    `vsftpd_log_file=${at("ftp.log")}`,
  ];
}

function secured(options: { certificate: string; key: string; implicit: boolean }): string[] {
  return [
    "ssl_enable=YES",
    `rsa_cert_file=${options.certificate}`,
    `rsa_private_key_file=${options.key}`,
    "require_ssl_reuse=YES",
    "force_local_logins_ssl=YES",
    "force_local_data_ssl=YES",
    "ssl_ciphers=HIGH",
    `implicit_ssl=${options.implicit ? "YES" : "NO"}`,
  ];
}
