/** Files to and from servers with SSH and FTP, by `pb` as it is installed: a bundle, in processes of its own. */

import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PASSWORD, USER } from "../servers/accounts.ts";
import * as sshd from "../servers/sshd.ts";
import * as vsftpd from "../servers/vsftpd.ts";
import { mustPass, pb } from "./harness.ts";
import { exited, PB, run, start } from "./lib/process.ts";
import { untilTrue } from "./lib/running.ts";
import { type Scratch, scratch } from "./lib/scratch.ts";

const why = sshd.available() ?? vsftpd.available();
const BIG = 24 * 1024 * 1024;

describe.skipIf(why !== undefined)(`sftp and ftps${why ? ` (SKIPPED: ${why})` : ""}`, () => {
  let ssh: sshd.SshServer;
  let ftp: vsftpd.FtpServer;
  let folder: Scratch;
  let far: string;
  const home = () => folder.at("pb");
  const env = () => ({ HOME: folder.at("home"), SSH_AUTH_SOCK: "" });
  const ok = async (...args: string[]) => mustPass(args, await pb(args, { home: home(), env: env() }));
  const equal = async (a: string, b: string) => {
    const { code, stdout, stderr } = await run("diff", ["-r", a, b]);
    expect(`${stdout}${stderr}${code}`).toBe("0");
  };

  beforeAll(async () => {
    folder = scratch();
    [ssh, ftp] = await Promise.all([sshd.startSshd(), vsftpd.startVsftpd({ tls: "explicit" })]);
    far = `sftp://${USER}@${ssh.host}:${ssh.port}${ssh.folder}/home`;
    await mkdir(folder.at("home/.ssh"), { recursive: true, mode: 0o700 });
    await copyFile(ssh.key, folder.at("home/.ssh/id_ed25519"));
    await chmod(folder.at("home/.ssh/id_ed25519"), 0o600);
    await writeFile(folder.at("home/.ssh/known_hosts"), `[${ssh.host}]:${ssh.port} ${ssh.hostKey}\n`);
    await writeFile(folder.at("ca.pem"), ftp.authority);
    await mkdir(folder.at("tree/sub/empty"), { recursive: true });
    for (let n = 0; n < 30; n += 1) await writeFile(folder.at(`tree/sub/${n}`), `${n}`.repeat(n * 50));
    await writeFile(folder.at("tree/ a b; $(c)"), "strange");
    await writeFile(Buffer.from(folder.at("tree/b\xfe"), "latin1"), "bytes");
    await writeFile(folder.at("tree/big"), Buffer.alloc(BIG, "0123456789abcdef!"));
  });
  afterAll(async () => {
    await ssh?.stop();
    await ftp?.stop();
    await folder?.[Symbol.asyncDispose]();
  });

  test("a tree to one, from there to the other, and back", async () => {
    const settings = [
      `host=${ftp.host}`,
      `port=${ftp.port}`,
      `user=${USER}`,
      `ca_file=${folder.at("ca.pem")}`,
    ];
    const add = ["remote", "add", "nas", "--type", "ftp", ...settings.flatMap((each) => ["--set", each])];
    mustPass(add, await pb([...add, "--stdin", "password"], { home: home(), env: env(), stdin: PASSWORD }));
    await ok("transfer", folder.at("tree"), `${far}/tree`);
    await equal(folder.at("tree"), join(ssh.folder, "home/tree"));
    await ok("transfer", `${far}/tree`, "nas:tree");
    await equal(folder.at("tree"), join(ftp.folder, "home/tree"));
    const back = await ok("transfer", "nas:tree", folder.at("back"), "--json");
    await equal(folder.at("tree"), folder.at("back"));
    expect(back.stdout).toContain("blake3");
    expect((await ok("ls", "nas:tree/sub")).stdout).toContain("empty/");
    // Nothing is left of what it was written as.
    const parts = await run("find", [join(ssh.folder, "home"), join(ftp.folder, "home"), "-name", "*.part"]);
    expect(parts.stdout).toBe("");
  });

  test.each([
    ["upload", () => [folder.at("tree/big"), `${far}/again`], () => join(ssh.folder, "home/again")],
    ["download", () => [`${far}/tree/big`, folder.at("again")], () => folder.at("again")],
  ])(
    "a killed %s leaves nothing under the final name, and the next one is whole",
    async (_what, places, arrived) => {
      const args = ["transfer", ...places()];
      const child = start(PB, [...args, "--limit", "8M"], { env: { ...env(), PB_HOME: home() } });
      child.stderr?.resume();
      child.stdout?.resume();
      await untilTrue("a third is there", async () => (await partBytes(join(arrived(), ".."))) > BIG / 3);
      child.kill("SIGKILL");
      await exited(child);
      expect(existsSync(arrived())).toBe(false);
      await ok(...args);
      await equal(folder.at("tree/big"), arrived());
      await rm(arrived());
    },
  );
});

async function partBytes(path: string): Promise<number> {
  const { stdout } = await run("find", [path, "-maxdepth", "1", "-name", ".pb-*.part", "-printf", "%s\n"]);
  return stdout.split("\n").reduce((sum, line) => sum + Number(line), 0);
}
