import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { asRoot, find, freePort, missing } from "../lib/program.ts";
import type { OpenPeer, Peer, Place } from "../peer.ts";

/** OpenSSH's scp (SFTP underneath since 9.0) to an sshd of our own, its keys and configuration in the scratch folder. */
export const scp: Peer = {
  name: "scp",
  title: "scp (aes128-gcm, sealed)",
  role: "peer",
  sealed: true,
  kinds: ["file", "folder"],
  whyNot: () => missing({ sshd: "openssh-server", scp: "openssh-client" }),
  open,
};

async function open({ from, to, destination, scratch }: Place): Promise<OpenPeer> {
  const port = await freePort();
  const at = (name: string) => join(scratch, name);
  for (const key of ["host", "user"]) {
    const args = ["-q", "-t", "ed25519", "-N", "", "-f", at(key)];
    const made = spawnSync("ssh-keygen", args, { encoding: "utf8" });
    if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  }
  // sshd as root refuses to start without its separation folder.
  if (asRoot) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  writeFileSync(at("sshd_config"), configuration(to.address, port, at));
  await to.daemon(find("sshd") ?? "sshd", ["-D", "-e", "-f", at("sshd_config")], { port });
  // The cipher that is fastest where the processor has AES instructions; ssh's own choice is ChaCha20.
  const options = [
    "-F",
    "none",
    "-c",
    "aes128-gcm@openssh.com",
    "-i",
    at("user"),
    "-P",
    `${port}`,
    "-B",
    "-q",
  ];
  for (const option of ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "Compression=no"])
    options.push("-o", option);
  const target = `${userInfo().username}@${to.address}:${destination}/`;
  return {
    send: async ({ path, kind }) => {
      await from.run("scp", [...options, ...(kind === "folder" ? ["-r"] : []), path, target]);
    },
  };
}

function configuration(address: string, port: number, at: (name: string) => string): string {
  return [
    `Port ${port}`,
    `ListenAddress ${address}`,
    `HostKey ${at("host")}`,
    `AuthorizedKeysFile ${at("user.pub")}`,
    `PidFile ${at("sshd.pid")}`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "Subsystem sftp internal-sftp",
    "",
  ].join("\n");
}
