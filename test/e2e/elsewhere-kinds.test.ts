/** `pb transfer --on`: a server and its own remotes of every kind, and jobs that stay there when the client has left. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PASSWORD, USER } from "../servers/accounts.ts";
import { available as nginxMissing, startNginx } from "../servers/nginx.ts";
import * as sshd from "../servers/sshd.ts";
import { startVersitygw, available as versitygwMissing } from "../servers/versitygw.ts";
import * as vsftpd from "../servers/vsftpd.ts";
import { mustPass, type Pair, pb, startPair } from "./harness.ts";
import { expectError } from "./lib/assert.ts";
import { begin, untilTrue } from "./lib/running.ts";
import { foundBelow, foundIn } from "./lib/secret-watch.ts";

interface Far {
  readonly settings: Readonly<Record<string, string>>;
  /** As lines of `--stdin`. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Of this machine: what the remote shows. */
  readonly root: string;
  stop(): Promise<void>;
}

const SIZE = 6 << 20;
const secret = "web of box, and of nobody else";
let box: Pair;
const running: Far[] = [];

async function sftp(): Promise<Far> {
  const server = await sshd.startSshd();
  const { host, port, folder } = server;
  const root = join(folder, "home/far");
  await mkdir(root);
  const settings = { host, port: `${port}`, user: USER, path: root, agent: "false", host_key: "accept-new" };
  return { settings, secrets: { password: PASSWORD }, root, stop: server.stop };
}

async function ftp(): Promise<Far> {
  const server = await vsftpd.startVsftpd({ tls: "explicit" });
  const { host, port, folder } = server;
  const root = join(folder, "home/far");
  await mkdir(root);
  await writeFile(join(folder, "ca.pem"), server.authority);
  const settings = { host, port: `${port}`, user: USER, path: root, ca_file: join(folder, "ca.pem") };
  return { settings, secrets: { password: PASSWORD }, root, stop: server.stop };
}

async function s3(): Promise<Far> {
  const server = await startVersitygw();
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const root = join(server.data, "bucket");
  await mkdir(root);
  const secrets = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  return { settings: { endpoint, region, bucket: "bucket" }, secrets, root, stop: server.stop };
}

async function web(): Promise<Far> {
  const server = await startNginx({ user: { name: "u", password: secret }, dav: true, makeParents: true });
  const settings = { url: server.url, user: "u" };
  return { settings, secrets: { password: secret }, root: server.root, stop: server.stop };
}

const KINDS = [
  { kind: "sftp", start: sftp, missing: sshd.available() },
  { kind: "ftp", start: ftp, missing: vsftpd.available() },
  { kind: "s3", start: s3, missing: versitygwMissing() },
  { kind: "webdav", start: web, missing: nginxMissing({ dav: true }) },
  { kind: "http", start: web, missing: nginxMissing({ dav: true }) },
];

beforeAll(async () => {
  box = await startPair();
  await mkdir(join(box.root, "sub"));
  await writeFile(join(box.root, "sub/small"), "of box");
  await writeFile(join(box.root, "big"), Buffer.alloc(SIZE, "0123456789abcdef!"));
});
afterAll(async () => {
  for (const far of running) await far.stop();
  await box?.[Symbol.asyncDispose]();
});

/** Adds it to box, by its owner. */
async function added(name: string, kind: string, start: () => Promise<Far>): Promise<Far> {
  const far = await start();
  running.push(far);
  const owner = { home: box.scratch.at("owner"), env: { HOME: box.scratch.at("owner") } };
  const where = ["--state", box.state];
  const settings = Object.entries(far.settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  const stdin = Object.entries(far.secrets).map(([key, value]) => `${key}=${value}\n`);
  const add = ["remote", "add", name, kind, ...settings, "--stdin", ...where];
  mustPass(add, await pb(add, { ...owner, stdin: stdin.join("") }));
  mustPass([], await pb(["remote", "allow", name, "*", ...where], owner));
  return far;
}

for (const { kind, start, missing } of KINDS) {
  test.skipIf(missing !== undefined)(`${kind}${missing ? ` (SKIPPED: ${missing})` : ""}`, async () => {
    const far = await added(`far-${kind}`, kind, start);
    await box.ok(["transfer", "--on", "box", "/sub/small", "/big", `far-${kind}:up`]);
    expect(readFileSync(join(far.root, "up/small"), "utf8")).toBe("of box");
    const { json } = await box.ok(["transfer", "--on", "box", `far-${kind}:up`, `/${kind}`, "--json"]);
    expect(json()).toMatchObject({ state: "done", files: 2 });
    const [sent, back] = await Promise.all([
      readFile(join(box.root, "big")),
      readFile(join(box.root, kind, "big")),
    ]);
    expect(sent.equals(back)).toBe(true);
    // The client has heard nothing of what opens it, and neither has the record of the job.
    const places = [box.home, join(box.state, "served")];
    expect(foundBelow(places, Object.values(far.secrets))).toEqual([]);
    expect(foundIn(box.server.log(), Object.values(far.secrets))).toEqual([]);
    // Of libraries, about versions of Node.
    expect(box.server.log()).not.toContain("Warning");
  });
}

describe("--detach", () => {
  let gate: Server;
  /** Who asks for a file waits for this. */
  let opened: Promise<void>;
  let open: () => void;
  const close = () => {
    opened = new Promise((resolve) => {
      open = resolve;
    });
  };
  const detach = ["transfer", "--on", "box", "--detach", "--json"];
  const asked = async (command: string, id: string, ...more: string[]) =>
    (await box.ok(["jobs", command, "--remote", "box", id, "--json", ...more])).json();
  const running = async (id: string) =>
    untilTrue("it runs", async () => (await asked("show", id)).state === "running");

  beforeAll(async () => {
    gate = createServer(async (request, response) => {
      if (request.method !== "HEAD") await opened;
      response.writeHead(200, { "content-length": 6 });
      response.end(request.method === "HEAD" ? undefined : "of far");
    });
    await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
    const { port } = gate.address() as { port: number };
    const far = { settings: { url: `http://127.0.0.1:${port}` }, secrets: {}, root: "" };
    await added("gate", "http", async () => ({ ...far, stop: async () => gate.closeAllConnections() }));
  });
  afterAll(() => void gate?.close());

  test("the job is the server's: seen, paused, taken up and watched from here", async () => {
    close();
    const { id } = (await box.ok([...detach, "--label", "night", "gate:/f", "/got"])).json<{ id: string }>();
    await running(id);
    const list = (await box.ok(["jobs", "list", "box:", "--json"])).json<{ id: string }[]>();
    expect(list.map((job) => job.id)).toContain(id);
    // Of this machine's own it is none.
    expect((await box.ok(["jobs", "list", "--json"])).stdout).not.toContain(id);
    await asked("pause", "night");
    expect(await asked("show", id)).toMatchObject({ state: "paused", label: "night" });
    await asked("resume", id, "--detach");
    await running(id);
    const watching = begin(box, ["jobs", "watch", "--remote", "box:", id.slice(0, 8), "--json"]);
    open();
    const { stdout, code } = await watching.end();
    // It may have been over before somebody looked.
    if (code === 0) expect(JSON.parse(stdout)).toMatchObject({ jobId: id, state: "done" });
    await untilTrue("it is done", async () => (await asked("show", id)).state === "done");
    expect(await asked("show", id)).toMatchObject({ receipt: { files: 1 } });
    expect(readFileSync(join(box.root, "got"), "utf8")).toBe("of far");
    await asked("forget", id);
    expectError(await box.pb(["jobs", "show", "--remote", "box", id, "--json"]), 3, "not_found");
  });

  test("another client sees nothing of it; cancelled, nothing is left of it", async () => {
    close();
    const other = await box.enrol("other", await box.invite());
    const { id } = (await box.ok([...detach, "gate:/f", "/cancelled"])).json<{ id: string }>();
    await running(id);
    const theirs = { home: other.home };
    for (const word of ["show", "cancel", "watch", "resume"]) {
      expectError(await pb(["jobs", word, "--remote", "box", id, "--json"], theirs), 3, "not_found");
    }
    expect((await pb(["jobs", "list", "box:", "--json"], theirs)).json()).toEqual([]);
    await asked("cancel", id);
    expect(await asked("show", id)).toMatchObject({ state: "cancelled" });
    open();
    expect(existsSync(join(box.root, "cancelled"))).toBe(false);
  });

  test("a revoked client's job ends", async () => {
    close();
    const { home } = await box.enrol("revoked", await box.invite());
    const args = [...detach, "gate:/f", "/revoked"];
    const { id } = mustPass(args, await pb(args, { home })).json<{ id: string }>();
    const all = (await box.ok(["clients", "list", "--state", box.state, "--json"])).json<{ id: string }[]>();
    const served = all.map((client) => join(box.state, "served", client.id, "_/jobs", id, "state"));
    const stateOf = () => readFileSync(served.find((file) => existsSync(file)) ?? "", "utf8");
    await untilTrue("it runs", async () => /"state": ?"running"/.test(stateOf()));
    const owner = served.findIndex((file) => existsSync(file));
    await box.ok(["clients", "revoke", all[owner]?.id ?? "", "--state", box.state]);
    await untilTrue("it has ended", async () => !/"state": ?"running"/.test(stateOf()));
    open();
    expect(existsSync(join(box.root, "revoked"))).toBe(false);
  });

  test("the server's end pauses it", async () => {
    close();
    const { id } = (await box.ok([...detach, "gate:/f", "/later"])).json<{ id: string }>();
    await running(id);
    expect(await box.server.stop()).toBe(0);
    const found = readdirSync(join(box.state, "served"), { recursive: true, encoding: "utf8" });
    const file = join(box.state, "served", found.find((name) => name.endsWith(join(id, "state"))) ?? "");
    expect(readFileSync(file, "utf8")).toMatch(/"state": ?"paused"/);
  });
});
