import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { exited, run, sleep } from "../../test/e2e/lib/process.ts";
import type { OpenPeer, Peer, Place } from "../peer.ts";

const SSHD = "/usr/sbin/sshd";

/** OpenSSH's scp (SFTP underneath since 9.0) to an sshd of our own, its keys and configuration in the scratch folder. */
export const scp: Peer = {
  name: "scp",
  title: "scp (OpenSSH, defaults)",
  whyNot: () => {
    if (!existsSync(SSHD)) return "openssh-server is not installed";
    return spawnSync("scp").error === undefined ? undefined : "openssh-client is not installed";
  },
  open,
};

async function open(place: Place): Promise<OpenPeer> {
  const port = await freePort();
  const at = (name: string) => join(place.scratch, name);
  for (const key of ["host", "user"]) {
    const made = spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(key)], {
      encoding: "utf8",
    });
    if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  }
  // sshd as root refuses to start without its separation folder.
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  writeFileSync(at("sshd_config"), configuration(port, at));
  const server = spawn(SSHD, ["-D", "-e", "-f", at("sshd_config")], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await accepting(port, server);
  const options = ["-F", "none", "-i", at("user"), "-P", String(port), "-B", "-q"];
  for (const option of ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"])
    options.push("-o", option);
  return {
    send: async ({ path, kind }) => {
      const target = `${userInfo().username}@127.0.0.1:${place.destination}/`;
      const args = [...options, ...(kind === "folder" ? ["-r"] : []), path, target];
      const result = await run("scp", args, { timeoutMs: 600_000 });
      if (result.code !== 0) throw new Error(`scp: exit ${result.code}: ${result.stderr}`);
    },
    close: async () => {
      server.kill("SIGTERM");
      await exited(server);
    },
  };
}

function configuration(port: number, at: (name: string) => string): string {
  return [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
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

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

async function accepting(port: number, server: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (server.exitCode !== null) throw new Error(`sshd ended with ${server.exitCode}`);
    if (await canConnect(port)) return;
    await sleep(50);
  }
  server.kill("SIGKILL");
  throw new Error("sshd did not accept connections within 5 s");
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
