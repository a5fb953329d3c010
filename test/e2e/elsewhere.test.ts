/** `pb transfer --on` and `pb move --on`: a server does it, with remotes and credentials of its own. */

import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mustPass, type Pair, pb, startPair } from "./harness.ts";
import { expectError } from "./lib/assert.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { begin, untilPartial } from "./lib/running.ts";
import { startServer } from "./lib/server.ts";

const MIB = 1 << 20;

let box: Pair;
/** A further server; only `box` knows it, as its remote `far`. */
let far: Pair;

beforeAll(async () => {
  box = await startPair();
  far = await startPair();
  const args = ["remote", "add", "far", await far.invite(), "--state", box.state];
  mustPass(args, await pb(args, { home: box.scratch.at("owner") }));
  await mkdir(join(box.root, "sub"));
  await writeFile(join(box.root, "sub/f"), "of box");
  await writeFile(join(far.root, "g"), "of far");
});
afterAll(async () => {
  await box?.[Symbol.asyncDispose]();
  await far?.[Symbol.asyncDispose]();
});

const on = (...args: string[]) => ["transfer", "--on", "box", ...args];

async function allow(...clients: string[]) {
  const args = ["remote", "allow", "far", ...clients, "--state", box.state];
  mustPass(args, await pb(args, { home: box.scratch.at("owner") }));
}

test("a remote of the server is nobody's until its owner says whose", async () => {
  expectError(await box.pb(on("/sub/f", "far:/", "--json")), 2, "unknown_remote");
  await allow("a".repeat(16));
  expectError(await box.pb(on("/sub/f", "far:/", "--json")), 2, "unknown_remote");
  expect(existsSync(join(far.root, "f"))).toBe(false);
});

test("the server carries to and from its remote; the client is not on the way", async () => {
  await allow("*");
  const { json } = await box.ok(on("/sub", "far:/up", "--json"));
  expect(json<{ state: string; files: number }>()).toMatchObject({ state: "done", files: 1 });
  expect(readFileSync(join(far.root, "up/f"), "utf8")).toBe("of box");
  await box.ok(on("far:/g", "/sub/"));
  expect(readFileSync(join(box.root, "sub/g"), "utf8")).toBe("of far");
  await box.ok(on("/sub/f", "/copy"));
  expect(readFileSync(join(box.root, "copy"), "utf8")).toBe("of box");
});

test("the server moves, to a remote of its own and within its own folders", async () => {
  await mkdir(join(box.root, "tree/deep"), { recursive: true });
  await writeFile(join(box.root, "tree/deep/f"), "moved");
  const { json } = await box.ok(["move", "--on", "box", "/tree", "far:/tree", "--json"]);
  expect(json<{ state: string; files: number }>()).toMatchObject({ state: "done", files: 1 });
  expect(readFileSync(join(far.root, "tree/deep/f"), "utf8")).toBe("moved");
  expect(existsSync(join(box.root, "tree"))).toBe(false);
  await box.ok(["move", "--on", "box", "far:/tree/deep/f", "/back"]);
  expect(existsSync(join(far.root, "tree/deep/f"))).toBe(false);
  const within = await box.ok(["move", "--on", "box", "/back", "box:/again", "--json"]);
  expect(within.json<{ transport: string }>().transport).toBe("rename");
  expect(readFileSync(join(box.root, "again"), "utf8")).toBe("moved");
});

test("Ctrl-C pauses it there, and it goes on there by what was said", async () => {
  const [source, folder] = [join(box.root, "big"), join(far.root, "paused")];
  await mkdir(folder);
  await writeRandomFile(source, 32 * MIB, "elsewhere");
  const run = begin(box, on("--limit", "8M", "/big", "far:/paused"));
  await untilPartial(folder, 12 * MIB);
  run.child.kill("SIGINT");
  const { code, stderr } = await run.end();
  expect(code).toBe(130);
  const id = /go on with: pb jobs resume --remote box ([0-9a-f]{8})/.exec(stderr)?.[1] ?? "";
  const { json } = await box.ok(["jobs", "resume", "--remote", "box", "--json", id]);
  const receipt = json<{ state: string; resumedBytes: number }>();
  expect(receipt.state).toBe("done");
  expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
  expect(await sha256OfFile(join(folder, "big"))).toBe(await sha256OfFile(source));
});

test("the server has the password, and the client does not", async () => {
  const password = "of the server alone";
  const web = createServer((request, response) => {
    const expected = `Basic ${Buffer.from(`u:${password}`).toString("base64")}`;
    const known = request.headers.authorization === expected;
    response.writeHead(known ? 200 : 401, { "content-length": 6 });
    response.end(request.method === "HEAD" ? undefined : known ? "of web" : "denied");
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = web.address() as { port: number };
    const owner = { home: box.scratch.at("owner"), stdin: password };
    const where = ["--state", box.state];
    const add = ["remote", "add", "web", `http://127.0.0.1:${port}`, "--set", "user=u", ...where];
    mustPass(add, await pb([...add, "--stdin", "password"], owner));
    mustPass([], await pb(["remote", "allow", "web", "*", ...where], owner));
    await box.ok(on("web:/h", "/from-web"));
    expect(readFileSync(join(box.root, "from-web"), "utf8")).toBe("of web");
    expectError(await box.pb(["ls", "web:/", "--json"]), 2, "unknown_remote");
  } finally {
    web.closeAllConnections();
    web.close();
  }
});

test("a client does no more there than it may", async () => {
  const reader = await box.enrol("reader", await box.invite("--read-only"));
  const inner = await box.enrol("inner", await box.invite("--path", "/sub"));
  const as = (home: string, ...args: string[]) =>
    pb([...on(...args), "--json"], { home, cwd: box.scratch.path });
  expectError(await as(reader.home, "/sub/f", "far:/no"), 1, "read_only");
  expectError(await as(reader.home, "far:/g", "/no"), 1, "read_only");
  expectError(await as(inner.home, "/sub/f", "far:/no"), 3, "not_found");
  expectError(await as(inner.home, "/../copy", "far:/no"), 1, "path_escapes");
  mustPass([], await as(inner.home, "/f", "far:/inner"));
  expect(readFileSync(join(far.root, "inner"), "utf8")).toBe("of box");
  expect(existsSync(join(far.root, "no"))).toBe(false);
  for (const url of ["sftp://me@127.0.0.1/x", "http://127.0.0.1:1/x", "s3:b/k"]) {
    const { code } = await box.pb(on(url, "/no"));
    expect([url, code === 0]).toEqual([url, false]);
  }
  expectError(await box.pb(on("-", "far:/no", "--json")), 2, "usage");
  expect(existsSync(join(box.root, "no"))).toBe(false);
});

test("between two remotes of the server nothing lies in its roots on the way, and a server that was killed goes on in the middle", async () => {
  await using third = await startPair();
  for (const args of [
    ["remote", "add", "third", await third.invite(), "--state", box.state],
    ["remote", "allow", "third", "*", "--state", box.state],
  ]) {
    mustPass(args, await pb(args, { home: box.scratch.at("owner") }));
  }
  await allow("*");
  const [source, tmp] = [join(far.root, "between"), box.scratch.at("tmp")];
  await mkdir(tmp);
  await writeRandomFile(source, 24 * MIB, "between");
  const start = () =>
    startServer({ roots: [box.root], state: box.state, listen: box.server.address, env: { TMPDIR: tmp } });
  await box.server.stop();
  const killed = await start();
  const before = await readdir(box.root);
  const words = on("--json", "far:/between", "third:/between");
  const run = begin(box, [...words, "--limit", "8M", "--memory", "8M"]);
  await untilPartial(tmp, 12 * MIB);
  expect(await readdir(box.root)).toEqual(before);
  run.child.kill("SIGKILL");
  await killed.kill();
  await run.end();
  await using _ = await start();
  const receipt = (await box.ok(words)).json<{ state: string; notices: { code: string }[] }>();
  expect(receipt.state).toBe("done");
  expect(receipt.notices.map(({ code }) => code)).toContain("spool-resumed");
  expect(await sha256OfFile(join(third.root, "between"))).toBe(await sha256OfFile(source));
  expect(await readdir(tmp)).toEqual([]);
});
