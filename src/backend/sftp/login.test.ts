/** Who may log in, and to whom: against a real server. */

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PASSWORD, USER } from "../../../test/servers/accounts.ts";
import { available, PASSPHRASE, type SshServer, startSshd } from "../../../test/servers/sshd.ts";
import { type EndpointConfig, Secret, type SecretsWatcher, type Setting } from "../../model/endpoint.ts";
import { never, refused } from "../conformance/fixture.ts";
import { openSftp } from "./backend.ts";
import { fingerprint } from "./known-hosts.ts";

const why = available();

describe.skipIf(why !== undefined)(`login at openssh-server${why ? ` (SKIPPED: ${why})` : ""}`, () => {
  let server: SshServer;
  let home: string;
  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "pb-sftp-home-"));
    await mkdir(join(home, ".ssh"), { mode: 0o700 });
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  interface Try {
    readonly settings?: Readonly<Record<string, Setting>>;
    readonly secrets?: Readonly<Record<string, string>>;
    readonly env?: Readonly<Record<string, string>>;
  }

  /** Logs in, looks at the root, and leaves. */
  async function enter({ settings = {}, secrets = {}, env = {} }: Try): Promise<void> {
    const { host, port } = server;
    await using backend = await openSftp(
      {
        kind: "sftp",
        settings: { host, port, user: USER, host_key: hostKey(), ...settings },
        secret: async (name) => (secrets[name] === undefined ? undefined : new Secret(secrets[name])),
      },
      { name: "far", home: join(home, "pb"), env: { HOME: home, ...env } },
    );
    expect((await backend.stat("", { follow: true, signal: never })).kind).toBe("directory");
  }

  const hostKey = () => fingerprint(Buffer.from(server.hostKey.split(" ")[1] ?? "", "base64"));
  const stored = async (file: string) => ({ private_key: await readFile(file, "utf8") });

  test("by a key file, a stored key, a usual one", async () => {
    await enter({ settings: { key_file: server.key } });
    await enter({ secrets: await stored(server.key) });
    await writeFile(join(home, ".ssh/id_ed25519"), await readFile(server.key), { mode: 0o600 });
    await enter({});
  });

  test("by a key with a passphrase, and not with a wrong one or none", async () => {
    await enter({ settings: { key_file: server.lockedKey }, secrets: { passphrase: PASSPHRASE } });
    await enter({ secrets: { ...(await stored(server.lockedKey)), passphrase: PASSPHRASE } });
    for (const secrets of [{ passphrase: "wrong" }, {}]) {
      const error = await refused(
        "unauthenticated",
        enter({ settings: { key_file: server.lockedKey }, secrets }),
      );
      expect(error.message).not.toContain("wrong");
    }
    const missing = enter({ settings: { key_file: join(home, "none") } });
    await refused("not_found", missing);
    // With a hint of its own: no command takes it for something missing at the server.
    await expect(missing).rejects.toMatchObject({
      message: expect.stringMatching(/^far: key_file /),
      hint: expect.stringContaining("key_file"),
    });
  });

  test("by the password of now: what was opened with another is used no more", async () => {
    const { host, port } = server;
    let text = PASSWORD;
    let watcher: SecretsWatcher | undefined;
    const config: EndpointConfig = {
      kind: "sftp",
      settings: { host, port, user: USER, host_key: hostKey() },
      secret: async (name) => (name === "password" ? new Secret(text) : undefined),
      watch(given) {
        watcher = given;
        return () => {
          watcher = undefined;
        };
      },
    };
    const look = () => backend.stat("", { follow: true, signal: never });
    const backend = await openSftp(config, { name: "far", home: join(home, "pb"), env: { HOME: home } });
    for (const now of [PASSWORD, "wrong by now", PASSWORD]) {
      text = now;
      watcher?.rotated?.();
      if (now === PASSWORD) expect((await look()).kind).toBe("directory");
      else await refused("unauthenticated", look());
    }
    await backend.close();
    expect(watcher).toBeUndefined();
  });

  test("by a password, and not by a wrong one, which nobody is told", async () => {
    await enter({ secrets: { password: PASSWORD } });
    const error = await refused("unauthenticated", enter({ secrets: { password: "not this one" } }));
    expect(`${error.message}${error.hint}${error.stack}${JSON.stringify(error)}`).not.toContain(
      "not this one",
    );
    expect(error.hint).toContain("password");
  });

  test("by the agent, unless it is not to be asked", async () => {
    const socket = join(home, "agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      await addKey(socket, server.key);
      const env = { SSH_AUTH_SOCK: socket };
      await enter({ env });
      await refused("unauthenticated", enter({ env, settings: { agent: false } }));
    } finally {
      agent.kill();
    }
  });

  test("with nothing to show", async () => {
    const error = await refused("unauthenticated", enter({}));
    expect(error.hint).toContain("no key");
  });

  describe("to a server whose key", () => {
    const key_file = () => ({ key_file: server.key, host_key: "" });
    const line = () => `[127.0.0.1]:${server.port} ${server.hostKey}\n`;
    const OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    test("is known", async () => {
      await writeFile(join(home, ".ssh/known_hosts"), `# mine\n${line()}`);
      await enter({ settings: key_file() });
      await writeFile(join(home, "others"), line());
      await rm(join(home, ".ssh/known_hosts"));
      await enter({ settings: { ...key_file(), known_hosts: join(home, "others") } });
    });

    test("is not known: its fingerprint, and what to do", async () => {
      const error = await refused("fingerprint_mismatch", enter({ settings: key_file() }));
      expect(error.message).toContain(hostKey());
      expect(error.hint).toContain("host_key");
      expect(error.retryable).toBe(false);
    });

    test("is taken the first time where that was asked for, and kept", async () => {
      const settings = { ...key_file(), host_key: "accept-new" };
      await enter({ settings });
      expect(await readFile(join(home, "pb/known_hosts"), "utf8")).toBe(line());
      await enter({ settings: key_file() });
    });

    test("is not what is known, or pinned, or is revoked", async () => {
      const file = join(home, ".ssh/known_hosts");
      await writeFile(file, `[127.0.0.1]:${server.port} ssh-ed25519 ${OTHER}\n`);
      for (const host_key of ["", "accept-new"]) {
        const error = await refused("fingerprint_mismatch", enter({ settings: { ...key_file(), host_key } }));
        expect(error.message).toContain(`${file}:1`);
      }
      await rm(file);
      const pinned = { ...key_file(), host_key: fingerprint(Buffer.from(OTHER, "base64")) };
      await refused("fingerprint_mismatch", enter({ settings: pinned }));
      await writeFile(file, `${line()}@revoked ${line()}`);
      await refused("fingerprint_mismatch", enter({ settings: key_file() }));
      await refused("invalid_argument", enter({ settings: { ...key_file(), host_key: "SHA256:short" } }));
    });
  });
});

async function addKey(socket: string, key: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const added = spawn("ssh-add", ["-q", key], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      stdio: "ignore",
    });
    const code = await new Promise((resolve) => added.once("exit", resolve));
    if (code === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("ssh-add does not reach the agent");
}
