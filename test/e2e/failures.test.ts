import { appendFile, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { errorsOf, expectError } from "./lib/assert.ts";
import { mountTmpfs, whyNoMounts } from "./lib/mount.ts";
import { writeRandomFile } from "./lib/random.ts";
import { begin, untilPartial, untilTrue } from "./lib/running.ts";
import { leftovers } from "./lib/tree.ts";

const MIB = 1 << 20;

/** Slow enough to be disturbed in the middle, with little buffered. */
const SLOWLY = ["--json", "--limit", "4M", "--memory", "8M"];
/** A loss ends it. */
const AT_ONCE = ["--retries", "0"];

async function bigFile(pair: Pair, bytes = 64 * MIB): Promise<string> {
  const path = pair.scratch.at("big");
  await writeRandomFile(path, bytes, "big");
  return path;
}

describe.each(["udp", "tcp"])("over %s", (transport) => {
  test("server killed: the client says so, exit 5, nothing under the final name", async () => {
    await using pair = await startPair();
    const run = begin(pair, [
      "cp",
      ...SLOWLY,
      ...AT_ONCE,
      "--transport",
      transport,
      await bigFile(pair),
      "box:/arrived",
    ]);
    await untilPartial(pair.root);
    await pair.server.kill();
    expectError(await run.end(), 5, "connection_lost");
    expect(await readdir(pair.root)).not.toContain("arrived");
  });

  test("server killed while it sends: nothing under the final name here", async () => {
    await using pair = await startPair();
    await writeRandomFile(join(pair.root, "big"), 64 * MIB, "big");
    const folder = pair.scratch.at("down");
    await mkdir(folder);
    const args = ["cp", ...SLOWLY, ...AT_ONCE, "--transport", transport, "box:/big", join(folder, "arrived")];
    const run = begin(pair, args);
    await untilPartial(folder);
    await pair.server.kill();
    expectError(await run.end(), 5, "connection_lost");
    expect(await readdir(folder)).not.toContain("arrived");
  });

  test("client interrupted, then told to forget: exit 130, the server clears what was half there", async () => {
    await using pair = await startPair();
    const run = begin(pair, ["cp", ...SLOWLY, "--transport", transport, await bigFile(pair), "box:/arrived"]);
    await untilPartial(pair.root);
    run.child.kill("SIGINT");
    const result = await run.end();
    expect(result.code).toBe(130);
    expect(await readdir(pair.root)).not.toContain("arrived");
    await pair.ok(["jobs", "forget", result.json<{ jobId: string }>().jobId]);
    await untilTrue("the server to clear up", async () => (await readdir(pair.root)).length === 0);
  });
});

test.each(["up", "down"])(
  "a client revoked on the way %s ends with exit 4, and half a file with it",
  async (way) => {
    await using pair = await startPair();
    const folder = pair.scratch.at("down");
    await mkdir(folder);
    const source = way === "up" ? await bigFile(pair) : "box:/big";
    if (way === "down") await writeRandomFile(join(pair.root, "big"), 64 * MIB, "big");
    const target = way === "up" ? "box:/arrived" : join(folder, "arrived");
    const run = begin(pair, ["cp", ...SLOWLY, source, target]);
    await untilPartial(way === "up" ? pair.root : folder);
    const clients = await pair.ok(["clients", "list", "--json", "--state", pair.state]);
    const [client] = clients.json<{ id: string }[]>();
    const began = Date.now();
    await pair.ok(["clients", "revoke", "--state", pair.state, client?.id ?? ""]);
    expectError(await run.end(), 4, "revoked");
    expect(Date.now() - began).toBeLessThan(10_000);
    expect(await readdir(folder)).not.toContain("arrived");
    expect(await readdir(pair.root)).not.toContain("arrived");
    if (way === "up") return;
    // What had come down is its owner's, who may be let in again; it goes with the job.
    const jobs = await pair.ok(["jobs", "list", "--json"]);
    const [job] = jobs.json<{ id: string }[]>();
    await pair.ok(["jobs", "forget", job?.id ?? ""]);
    expect(await leftovers(folder)).toEqual([]);
  },
);

test("client killed: the server serves on, nothing under the final name", async () => {
  await using pair = await startPair();
  const run = begin(pair, ["cp", ...SLOWLY, await bigFile(pair), "box:/arrived"]);
  await untilPartial(pair.root);
  run.child.kill("SIGKILL");
  await run.end();
  expect(await readdir(pair.root)).not.toContain("arrived");
  await pair.ok(["ls", "box:/"]);
});

test("a source that vanishes: the rest arrives, exit 6, the file is named", async () => {
  await using pair = await startPair();
  const folder = pair.scratch.at("tree");
  await mkdir(folder);
  for (let n = 10; n < 40; n += 1) await writeRandomFile(join(folder, `f${n}`), 2 * MIB, n);
  const run = begin(pair, ["cp", ...SLOWLY, "--limit", "16M", "--parallel-files", "1", folder, "box:/tree"]);
  await untilPartial(pair.root);
  await rm(join(folder, "f39"));
  const result = await run.end();
  const error = expectError(result, 6, "source_vanished");
  expect(error.path).toContain("f39");
  const arrived = await readdir(`${pair.root}/tree`);
  expect(arrived.sort()).toEqual(Array.from({ length: 29 }, (_, n) => `f${n + 10}`));
});

test("a source that changes while it is read does not arrive", async () => {
  await using pair = await startPair();
  const path = await bigFile(pair, 16 * MIB);
  const run = begin(pair, ["cp", ...SLOWLY, path, "box:/arrived"]);
  await untilPartial(pair.root);
  await appendFile(path, "more");
  const result = await run.end();
  expect(errorsOf(result).map(({ code }) => code)).toContain("source_changed");
  expect(result.code).not.toBe(0);
  expect(await readdir(pair.root)).toEqual([]);
});

test("a source that is not there is not found", async () => {
  await using pair = await startPair();
  expectError(await pair.pb(["cp", "--json", pair.scratch.at("absent"), "box:/x"]), 3, "not_found");
  expectError(await pair.pb(["cp", "--json", "box:/absent", pair.scratch.at("x")]), 3, "not_found");
  expect(await readdir(pair.root)).toEqual([]);
  expect(await readdir(pair.scratch.path)).not.toContain("x");
});

describe.skipIf(whyNoMounts() !== undefined)("on file systems of their own (needs root)", () => {
  test("a full disk: exit 7, nothing half-written, upload and download", async () => {
    await using pair = await startPair();
    const path = await bigFile(pair, 32 * MIB);
    const small = join(pair.root, "small");
    {
      using _ = mountTmpfs(small, "size=8m");
      expectError(await pair.pb(["cp", "--json", path, "box:/small/arrived"]), 7, "no_space");
      expect(await readdir(small)).not.toContain("arrived");
    }
    await writeRandomFile(join(pair.root, "big"), 32 * MIB, "big");
    const here = pair.scratch.at("here");
    using _ = mountTmpfs(here, "size=8m");
    expectError(await pair.pb(["cp", "--json", "box:/big", `${here}/arrived`]), 7, "no_space");
    expect(await readdir(here)).not.toContain("arrived");
  });

  test("a target that cannot be written is named", async () => {
    await using pair = await startPair();
    await writeFile(pair.scratch.at("file"), "content");
    using _ = mountTmpfs(join(pair.root, "ro"), "ro");
    const result = await pair.pb(["cp", "--json", pair.scratch.at("file"), "box:/ro/arrived"]);
    expectError(result, 1, "read_only");
    expect(await readdir(join(pair.root, "ro"))).toEqual([]);
    expectError(await pair.pb(["mkdir", "--json", "box:/ro/folder"]), 1, "read_only");
  });
});
