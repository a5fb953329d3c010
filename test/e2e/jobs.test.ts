/** Jobs as a user steers them: from other terminals, in the background, by lists, with a deadline. */

import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { expectError } from "./lib/assert.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { begin, untilPartial, untilTrue } from "./lib/running.ts";
import { leftovers } from "./lib/tree.ts";

const MIB = 1 << 20;
const SLOWLY = ["--limit", "8M", "--memory", "8M"];

interface Job {
  readonly id: string;
  readonly label: string | null;
  readonly state: string;
  readonly pid: number | null;
  readonly runs: number;
  readonly progress: { readonly bytes: number } | null;
  readonly receipt: { readonly state: string; readonly bytes: number } | null;
  readonly error: { readonly code: string } | null;
}

let pair: Pair;
let file: string;

beforeAll(async () => {
  pair = await startPair();
  file = pair.scratch.at("file");
  await writeRandomFile(file, 40 * MIB, "jobs");
});
afterAll(() => pair?.[Symbol.asyncDispose]());

const jobs = async () => (await pair.ok(["jobs", "list", "--json"])).json<Job[]>();
const show = async (id: string) => (await pair.ok(["jobs", "show", "--json", id])).json<Job>();

let count = 0;
async function place() {
  count += 1;
  const folder = join(pair.root, `p${count}`);
  await mkdir(folder);
  return { folder, arrived: join(folder, "file"), box: `box:/p${count}/file` };
}

describe("detached", () => {
  test("gives its id at once, is watched from elsewhere, and is there when it is done", async () => {
    const { box, arrived } = await place();
    const { stdout } = await pair.ok(["cp", "--detach", "--label", "nightly", ...SLOWLY, file, box]);
    const id = stdout.trim();
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    const watched = await pair.ok(["jobs", "watch", "--json", id.slice(0, 8)]);
    expect(watched.json()).toMatchObject({ jobId: id, state: "done", files: 1, label: "nightly" });
    expect(await sha256OfFile(arrived)).toBe(await sha256OfFile(file));
    expect(await show("nightly")).toMatchObject({ id, state: "done", runs: 1, receipt: { state: "done" } });
    expectError(await pair.pb(["jobs", "watch", "--json", id]), 2, "invalid_argument");
    await pair.ok(["jobs", "forget", id]);
    expectError(await pair.pb(["jobs", "show", "--json", id]), 3, "not_found");
  });

  test("is paused, gone on with in the background, and cancelled: nothing of it stays", async () => {
    const { folder, box } = await place();
    const id = (await pair.ok(["cp", "--detach", ...SLOWLY, file, box])).stdout.trim();
    await untilPartial(folder);
    const running = await show(id);
    expect(running).toMatchObject({ state: "running" });
    expect(running.pid).toBeGreaterThan(0);
    await pair.ok(["jobs", "pause", id]);
    expect(await show(id)).toMatchObject({ state: "paused", pid: null });
    expectError(await pair.pb(["jobs", "pause", "--json", id]), 2, "invalid_argument");
    await pair.ok(["jobs", "resume", "--detach", id]);
    await untilTrue("it to run again", async () => (await show(id)).state === "running");
    await pair.ok(["jobs", "cancel", id]);
    expect(await show(id)).toMatchObject({ state: "cancelled", runs: 2 });
    expect(await readdir(folder)).toEqual([]);
    expectError(await pair.pb(["jobs", "resume", "--json", id]), 2, "invalid_argument");
  });

  test("that fails says why in its record", async () => {
    const { box } = await place();
    const id = (await pair.ok(["cp", "--detach", pair.scratch.at("absent"), box])).stdout.trim();
    await untilTrue("it to fail", async () => (await show(id)).state === "failed");
    expect((await show(id)).error?.code).toBe("not_found");
  });
});

test("Ctrl-C says how to go on, and that is how it goes on; then it is watched by two", async () => {
  const { folder, box, arrived } = await place();
  const run = begin(pair, ["cp", ...SLOWLY, file, box]);
  await untilPartial(folder, 10 * MIB);
  run.child.kill("SIGINT");
  const { code, stderr } = await run.end();
  expect(code).toBe(130);
  const id = /go on with: pb jobs resume ([0-9a-f]{8})/.exec(stderr)?.[1] ?? "";
  expect(await show(id)).toMatchObject({ state: "paused" });
  const resumed = begin(pair, ["jobs", "resume", "--json", id]);
  await untilTrue("it to run again", async () => (await show(id)).state === "running");
  const watchers = [1, 2].map(() => begin(pair, ["jobs", "watch", "--json", id]));
  const ended = await Promise.all([resumed, ...watchers].map((each) => each.end()));
  expect(ended.map((each) => [each.code, each.json<{ state: string }>().state])).toEqual([
    [0, "done"],
    [0, "done"],
    [0, "done"],
  ]);
  expect(await sha256OfFile(arrived)).toBe(await sha256OfFile(file));
});

test("a second process that would run the same job is refused", async () => {
  const { folder, box } = await place();
  const run = begin(pair, ["cp", "--json", ...SLOWLY, file, box]);
  await untilPartial(folder);
  const [job] = (await jobs()).filter(({ state }) => state === "running");
  expectError(await pair.pb(["jobs", "resume", "--json", job?.id ?? ""]), 1, "exists");
  expectError(await pair.pb(["jobs", "forget", "--json", job?.id ?? ""]), 1, "exists");
  await pair.ok(["jobs", "cancel", job?.id ?? ""]);
  expect((await run.end()).code).toBe(130);
  expect(await leftovers(folder)).toEqual([]);
});

test("a deadline ends the run with exit 5, and what it has is kept", async () => {
  const { box, arrived } = await place();
  const began = Date.now();
  const late = await pair.pb(["cp", "--json", "--deadline", "4s", ...SLOWLY, file, box]);
  expectError(late, 5, "timeout");
  expect(Date.now() - began).toBeLessThan(15_000);
  const receipt = (await pair.ok(["cp", "--json", file, box])).json<{ resumedBytes: number }>();
  expect(receipt.resumedBytes).toBeGreaterThan(0);
  expect(await sha256OfFile(arrived)).toBe(await sha256OfFile(file));
});

test("a standard stream can't be taken up in the middle, and says so", async () => {
  const { box } = await place();
  for (const flag of [["--resume", "auto"], ["--detach"]]) {
    const result = await pair.pb(["cp", "--json", ...flag, "-", box], { stdin: "x" });
    expectError(result, 2, "usage");
  }
  await pair.ok(["cp", "--resume", "never", "-", box], { stdin: "x" });
});

describe("a batch", () => {
  test("runs line by line, quoted as in a shell, and ends with the code of the worst", async () => {
    const { folder, box } = await place();
    const base = box.replace(/file$/, "");
    await mkdir(pair.scratch.at("with space"));
    await writeFile(pair.scratch.at("with space", "a"), "a");
    await writeFile(pair.scratch.at("b"), "b");
    const list = pair.scratch.at("list");
    await writeFile(
      list,
      `# note\n'with space/a' b ${base}\n\nabsent ${base}x\n"with space/a" ${base}c # end\n`,
    );
    const result = await pair.pb(["cp", "--batch", list, "--json"]);
    expect(result.code).toBe(3);
    const rows = result.json<{ line: number; state: string }[]>();
    expect(rows.map(({ line, state }) => [line, state])).toEqual([
      [2, "done"],
      [4, "failed"],
      [5, "done"],
    ]);
    expect((await readdir(folder)).sort()).toEqual(["a", "b", "c"]);
    const again = await pair.pb(["cp", "--batch", "-"], { stdin: `b ${base}d\n` });
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining("1 of 1 transfer done")]);
  });

  test("with a slip in it does nothing", async () => {
    const { folder, box } = await place();
    const list = pair.scratch.at("slip");
    await writeFile(list, `b ${box}\n'open ${box}\n`);
    expect(expectError(await pair.pb(["cp", "--json", "--batch", list]), 2, "usage").message).toContain(
      "line 2",
    );
    expect(await readdir(folder)).toEqual([]);
  });
});

test("completion knows the jobs", async () => {
  const [job] = await jobs();
  const { stdout } = await pair.ok(["__complete", "jobs", "show", ""]);
  expect(stdout).toContain(job?.id.slice(0, 8));
});
