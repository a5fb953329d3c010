/** A client rotates or removes a credential of its own in the middle of a transfer: the next request has the new one, or there is none. Exit code 4. */

import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type WebServer, webServer } from "../../src/backend/testing/web-server.ts";
import { mustPass, pb, startPair } from "./harness.ts";
import { exited, PB, start, until } from "./lib/process.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { partialBytes, untilPartial } from "./lib/running.ts";
import { type Scratch, scratch } from "./lib/scratch.ts";
import { type Server, startServer } from "./lib/server.ts";

/** Long at the limit below, and none of what follows waits for the end of it. */
const BYTES = 48 << 20;
const SLOWLY = ["--limit", "1500k", "--memory", "8M"];

let folder: Scratch;
beforeAll(async () => {
  folder = scratch();
  await writeRandomFile(folder.at("big"), BYTES, "rotation");
});
afterAll(() => folder?.[Symbol.asyncDispose]());

interface Client {
  ok(args: readonly string[], stdin?: string): Promise<string>;
  /** A transfer of its own process, until it has brought something to `folder`. */
  begin(args: readonly string[], folder: string): Promise<Transfer>;
}

interface Transfer {
  runs(): boolean;
  end(): Promise<{ readonly code: number | null; readonly said: string }>;
}

function client(name: string): Client {
  const home = folder.at(`home-${name}`);
  return {
    ok: async (args, stdin = "") => mustPass(args, await pb(args, { home, stdin })).stdout,
    begin: (args, to) => beginAs(home, args, to),
  };
}

async function beginAs(home: string, args: readonly string[], to: string): Promise<Transfer> {
  const child = start(PB, args, { env: { PB_HOME: home } });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => said.push(chunk.toString("utf8")));
  child.stdin?.end();
  await untilPartial(to);
  return {
    runs: () => child.exitCode === null && child.signalCode === null,
    end: async () => ({ code: (await exited(child))[0], said: said.join("") }),
  };
}

/** The error is one, it names the credential, and it says how to go on. */
async function expectStopped(transfer: Transfer, credential: string): Promise<void> {
  const { code, said } = await transfer.end();
  expect([code, said]).toEqual([
    4,
    expect.stringContaining(`the credential ${credential} was removed while it was in use`),
  ]);
  expect(said).not.toMatch(/revoked/);
  expect(said.match(/was removed/g)).toHaveLength(1);
  expect(said).toContain(`pb credentials add ${credential}`);
  expect(said).toMatch(/go on with: pb jobs resume (--remote box )?[0-9a-f]{8}/);
}

/** Gives the file, by ranges, to who has a password that counts. */
async function guarded(passwords: ReadonlySet<string>): Promise<WebServer> {
  const content = await readFile(folder.at("big"));
  return webServer(({ method, headers }, response) => {
    if (!passwords.has(passwordOf(headers.authorization))) return void response.writeHead(401).end();
    const [, from = "0", to = `${content.length - 1}`] =
      /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
    const part = content.subarray(Number(from), Number(to) + 1);
    const range = { "content-range": `bytes ${from}-${to}/${content.length}` };
    response.writeHead(headers.range === undefined ? 200 : 206, {
      ...(headers.range === undefined ? {} : range),
      ...{ "accept-ranges": "bytes", "content-length": part.length, etag: '"1"' },
    });
    response.end(method === "HEAD" ? undefined : part);
  });
}

const passwordOf = (authorization = "") =>
  Buffer.from(authorization.replace("Basic ", ""), "base64").toString().replace("me:", "");

test("of a web server", async () => {
  const passwords = new Set(["one", "two"]);
  await using web = await guarded(passwords);
  const to = folder.at("down");
  await mkdir(to);
  const { ok, begin } = client("web");
  const remote = ["remote", "add", "web", web.url, "--set", "user=me", "--credential", "keys"];
  await ok(["credentials", "add", "keys", "--stdin", "password"], "one");
  await ok(remote);
  const down = ["transfer", "web:/big", join(to, "big")];
  const transfer = await begin([...down, ...SLOWLY], to);
  await ok(["credentials", "rotate", "keys", "--stdin", "password"], "two");
  const before = web.requests.length;
  passwords.delete("one");
  await until("further requests", () => web.requests.length >= before + 2);
  const used = new Set(web.requests.slice(before).map(({ headers }) => passwordOf(headers.authorization)));
  expect([[...used], transfer.runs()]).toEqual([["two"], true]);
  await ok(["credentials", "remove", "keys"]);
  const last = web.requests.length;
  await expectStopped(transfer, "keys");
  // None without a password, nor with an old one.
  expect(web.requests.length).toBe(last);
  await ok(["credentials", "add", "keys", "--stdin", "password"], "two");
  const { state, resumedBytes } = JSON.parse(
    (await ok([...down, "--json"])).trim().split("\n").at(-1) ?? "",
  ) as { readonly state: string; readonly resumedBytes: number };
  expect(state).toBe("done");
  expect(resumedBytes).toBeGreaterThan(0);
  expect(await sha256OfFile(join(to, "big"))).toBe(await sha256OfFile(folder.at("big")));
});

test("of a server that carries for its client", async () => {
  const passwords = new Set(["one", "two"]);
  await using web = await guarded(passwords);
  await using box = await startPair();
  const owner = (args: readonly string[], stdin = "") =>
    client("owner").ok([...args, "--state", box.state], stdin);
  await owner(["credentials", "add", "theirs", "--stdin", "password"], "one");
  await owner(["remote", "add", "web", web.url, "--set", "user=me", "--credential", "theirs"]);
  await owner(["remote", "allow", "web", "*"]);
  const args = ["transfer", "--on", "box", "web:/big", "/there/big", ...SLOWLY];
  const transfer = await beginAs(box.home, args, join(box.root, "there"));
  await owner(["credentials", "rotate", "theirs", "--stdin", "password"], "two");
  const before = web.requests.length;
  passwords.delete("one");
  await until("further requests", () => web.requests.length >= before + 2);
  expect(transfer.runs()).toBe(true);
  await owner(["credentials", "remove", "theirs"]);
  await expectStopped(transfer, "theirs");
  expect(existsSync(join(box.root, "there/big"))).toBe(false);
});

test("of a Packetboat server: a token", async () => {
  await mkdir(folder.at("root"));
  const root = `data=${folder.at("root")}`;
  await using server: Server = await startServer({ roots: [root], state: folder.at("state") });
  const owner = async (...args: string[]) => {
    const all = ["credentials", "token", "--state", folder.at("state"), "--json", ...args];
    return JSON.parse(await client("owner").ok(all)) as { readonly id: string; readonly token: string };
  };
  const issued = () => owner("--subject", "ci", "--scope", "pb:write:data", "--expires", "10m");
  const [one, two] = [await issued(), await issued()];
  const { ok, begin } = client("token");
  const fingerprint = /"fingerprint":"(\w+)"/.exec(server.log())?.[1] ?? "";
  const remote = ["remote", "add", "box", `pb://${server.address}`, "--set", `fingerprint=${fingerprint}`];
  await ok([...remote, "--stdin", "token"], one.token);
  const into = folder.at("root/up");
  const transfer = await begin(["transfer", folder.at("big"), "box:/data/up/big", ...SLOWLY], into);
  await ok(["credentials", "rotate", "box", "--stdin", "token"], two.token);
  const revoke = ["credentials", "token", "--state", folder.at("state"), "--revoke", one.id];
  const before = await partialBytes(into);
  await client("owner").ok(revoke);
  // What the old one began ends within a second; the new one goes on.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const then = await partialBytes(into);
  expect(then).toBeGreaterThanOrEqual(before);
  await expect.poll(() => partialBytes(into), { timeout: 20_000 }).toBeGreaterThan(then + (512 << 10));
  expect(transfer.runs()).toBe(true);
  await ok(["credentials", "remove", "box"]);
  await expectStopped(transfer, "box");
  expect(existsSync(join(into, "big"))).toBe(false);
});
