/** proftpd: MLSD, MFMT and MFF; unpacked beside vsftpd by scripts/test/proftpd.mjs, since their packages exclude each other. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasProftpd, PROFTPD } from "../../scripts/test/proftpd.mjs";
import { crypted, PASSWORD, passwdLine, USER } from "./accounts.ts";
import { makeCertificate } from "./certificate.ts";
import { freePort, HOST, serverFolder, startProgram } from "./program.ts";
import type { FtpServer, StartFtp } from "./vsftpd.ts";

/** Why it cannot be started; undefined when it can. */
export function available(): string | undefined {
  if (!hasProftpd()) return "proftpd is not unpacked (npm test does it where apt-get works)";
  return process.getuid?.() === 0 ? undefined : "needs root";
}

const LIBRARIES = `${PROFTPD}/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;

export interface StartProftpd extends Pick<StartFtp, "tls"> {
  /** Whether an upload may be continued. Default: true; proftpd's own is false. */
  readonly storeRestart?: boolean;
}

export async function startProftpd({ tls, storeRestart = true }: StartProftpd): Promise<FtpServer> {
  const folder = await serverFolder("proftpd");
  const port = await freePort();
  const at = (name: string) => join(folder, name);
  await mkdir(at("home"));
  const { certificate, key, pem } = await makeCertificate(folder);
  await writeFile(at("users"), passwdLine(USER, crypted(PASSWORD), at("home")), { mode: 0o600 });
  await writeFile(at("groups"), "root:x:0:\n", { mode: 0o600 });
  const security = tls === "none" ? [] : secured({ certificate, key, implicit: tls === "implicit" });
  const restart = `AllowStoreRestart ${storeRestart ? "on" : "off"}`;
  await writeFile(at("config"), `${[...plain(port, at), restart, ...security].join("\n")}\n`);
  const program = await startProgram({
    folder,
    port,
    program: `${PROFTPD}/usr/sbin/proftpd`,
    args: ["--nodaemon", "--config", at("config")],
    env: { LD_LIBRARY_PATH: LIBRARIES },
  });
  return { ...program, host: HOST, port, folder, authority: tls === "none" ? "" : pem };
}

function plain(port: number, at: (name: string) => string): string[] {
  return [
    `ModulePath ${PROFTPD}/usr/lib/proftpd`,
    "LoadModule mod_tls.c",
    "LoadModule mod_tls_shmcache.c",
    'ServerName "test"',
    "ServerType standalone",
    "DefaultServer on",
    "DefaultAddress 127.0.0.1",
    "SocketBindTight on",
    `Port ${port}`,
    "UseIPv6 off",
    "User root",
    "Group root",
    "RootLogin on",
    "RequireValidShell off",
    "AuthOrder mod_auth_file.c",
    `AuthUserFile ${at("users")}`,
    `AuthGroupFile ${at("groups")}`,
    "AuthPAM off",
    "UseReverseDNS off",
    "Umask 022",
    "AllowOverwrite on",
    "AllowRetrieveRestart on",
    "UseEncoding off",
    "TimesGMT on",
    "MaxInstances 100",
    `PidFile ${at("pid")}`,
    `ScoreboardFile ${at("scoreboard")}`,
    `DelayTable ${at("delay")}`,
    "DelayEngine off",
    "WtmpLog off",
    `SystemLog ${at("ftp.log")}`,
  ];
}

function secured(options: { certificate: string; key: string; implicit: boolean }): string[] {
  return [
    "TLSEngine on",
    "TLSRequired on",
    "TLSLog none",
    `TLSECCertificateFile ${options.certificate}`,
    `TLSECCertificateKeyFile ${options.key}`,
    `TLSOptions ${options.implicit ? "UseImplicitSSL" : "StdEnvVars"}`,
  ];
}
