/** From one server to another, by way of this machine: whoever is killed, what has come stays, and it goes on in the middle of a file. */

import { mkdir, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { mustPass, type Pair, startPair } from "./harness.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { begin, type Running, untilPartial, untilTrue } from "./lib/running.ts";
import { type Server, startServer } from "./lib/server.ts";
import { leftovers } from "./lib/tree.ts";

const MIB = 1 << 20;
const SIZE = 24 * MIB;
const SLOWLY = ["--limit", "10M", "--memory", "8M"];
/** By then a second has gone since the first bytes: something is durable. */
const ENOUGH = 12 * MIB;

interface Receipt {
  readonly jobId: string;
  readonly state: string;
  readonly resumedBytes: number;
  readonly redoneFiles: number;
  readonly attempts: number;
  readonly notices: readonly { readonly code: string; readonly message: string }[];
}

let box: Pair;
let other: Pair;
let source: string;
let target: string;

beforeEach(async () => {
  box = await startPair();
  other = await startPair();
  await box.ok(["remote", "add", "other", await other.invite()]);
  source = join(box.root, "file");
  target = join(other.root, "in", "file");
  await writeRandomFile(source, SIZE, "between");
  await mkdir(dirname(target), { recursive: true });
  await mkdir(spools());
});
afterEach(async () => {
  await box[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const spools = () => box.scratch.at("tmp");
const WORDS = ["cp", "--json", "box:/file", "other:/in/file"];
const env = () => ({ TMPDIR: spools() });

function slowly(...more: string[]): Running {
  return begin(box, [...WORDS, ...SLOWLY, ...more], { env: env() });
}

async function spool(): Promise<string> {
  const [name = "", ...others] = await readdir(spools());
  expect([name, others]).toEqual([expect.stringMatching(/^pb-spool-[0-9a-f-]{36}$/), []]);
  return join(spools(), name);
}

const untilFirstLeg = async () => untilPartial(await untilSpool(), ENOUGH);

async function untilSpool(): Promise<string> {
  await untilTrue("a spool", async () => (await readdir(spools())).length > 0);
  return spool();
}

function again({ server, root, state }: Pair): Promise<Server> {
  return startServer({ roots: [root], state, listen: server.address });
}

async function expectWhole(receipt: Receipt): Promise<void> {
  expect(receipt).toMatchObject({ state: "done", redoneFiles: 0 });
  expect(await sha256OfFile(target)).toBe(await sha256OfFile(source));
  expect(await leftovers(other.root)).toEqual([]);
  expect(await readdir(spools())).toEqual([]);
}

/** Bytes of the first leg that were not fetched again. */
function kept({ notices }: Receipt): number {
  const [, megabytes = "0"] =
    notices
      .filter(({ code }) => code === "spool-resumed")
      .map(({ message }) => /^([0-9.]+) MB had come/.exec(message) ?? [])[0] ?? [];
  return Number(megabytes) * 1e6;
}

const goesOn = async () => (await box.ok(WORDS, { env: env() })).json<Receipt>();

test("the client is killed on either leg: the same command goes on", async () => {
  const first = slowly();
  await untilFirstLeg();
  first.child.kill("SIGKILL");
  await first.end();
  const second = slowly();
  await untilPartial(dirname(target), ENOUGH);
  second.child.kill("SIGKILL");
  await second.end();
  const receipt = await goesOn();
  await expectWhole(receipt);
  // All of it had come, and half of it had gone on.
  expect(kept(receipt)).toBeCloseTo(SIZE, -5);
  expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
});

test("the client is killed on the first leg, and the source has changed: nothing is mixed", async () => {
  const first = slowly();
  await untilFirstLeg();
  first.child.kill("SIGKILL");
  await first.end();
  await writeRandomFile(source, SIZE, "another");
  const receipt = await goesOn();
  await expectWhole(receipt);
  expect(kept(receipt)).toBe(0);
});

test("either server is killed in the middle of a file and comes back: it goes on by itself", async () => {
  const run = slowly();
  await untilFirstLeg();
  await box.server.kill();
  await using _ = await again(box);
  await untilPartial(dirname(target), ENOUGH);
  await other.server.kill();
  await using __ = await again(other);
  const receipt = mustPass(WORDS, await run.end()).json<Receipt>();
  await expectWhole(receipt);
  expect(receipt.attempts).toBeGreaterThan(2);
  expect(kept(receipt)).toBeGreaterThan(4 * MIB);
  expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
});

test("a job that is cancelled leaves nothing of what was on its way", async () => {
  const run = slowly();
  await untilFirstLeg();
  run.child.kill("SIGINT");
  const { jobId, state } = (await run.end()).json<Receipt>();
  expect(state).toBe("paused");
  expect(await leftovers(await spool())).toHaveLength(1);
  await box.ok(["jobs", "cancel", jobId], { env: env() });
  expect(await readdir(spools())).toEqual([]);
});
