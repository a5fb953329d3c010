/**
 * What a receiver keeps of a job is damaged, torn, another job's, or from another time: the same command again ends well all the same,
 * and what can't be trusted is sent again.
 */
import { mkdir, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectError } from "../../e2e/lib/assert.ts";
import { sleep } from "../../e2e/lib/process.ts";
import { randomIntegers, writeRandomFile } from "../../e2e/lib/random.ts";
import { afterDone, afterKill } from "../lib/oracle.ts";
import { type Direction, Scene } from "../lib/scene.ts";
import type { Workload } from "../lib/workloads.ts";

const MIB = 1 << 20;

/** Small files that are finished soon, and a large one that takes two seconds. */
const mixed: Workload = {
  name: "large",
  args: ["--limit", "12M", "--memory", "8M", "--parallel-files", "4"],
  make: async (path) => {
    await mkdir(path, { recursive: true });
    for (let n = 0; n < 20; n += 1) await writeRandomFile(join(path, `s${n}`), 2_000, n);
    await writeRandomFile(join(path, "large"), 28 * MIB, "large");
  },
  before: async () => {},
};

/** Every file of every checkpoint that the receiver keeps. */
async function kept(scene: Scene): Promise<string[]> {
  const folder =
    scene.options.direction === "up" ? join(scene.state, "checkpoints") : join(scene.home, "jobs");
  const names = await readdir(folder, { recursive: true });
  const paths = names.map((name) => join(folder, name)).filter((path) => isKept(path));
  const stats = await Promise.all(paths.map((path) => stat(path)));
  return paths.filter((_, at) => stats[at]?.isFile());
}

function isKept(path: string): boolean {
  const name = basename(path);
  return /^journal-\d+$/.test(name) || name === "done" || name === "binding" || path.includes("/active/");
}

const kinds = {
  journal: (path: string) => basename(path).startsWith("journal-"),
  snapshot: (path: string) => path.includes("/active/"),
  index: (path: string) => basename(path) === "done",
  binding: (path: string) => basename(path) === "binding",
};
type Kind = keyof typeof kinds;

/** Ended in the middle: killed, or (so that there are snapshots and an index) asked to pause. */
async function interrupt(scene: Scene, how: "SIGKILL" | "SIGINT"): Promise<void> {
  await scene.ensureServer();
  const run = scene.begin(scene.words());
  const end = Date.now() + 20_000;
  const size = async () => (await afterKill(scene.truth)).partBytes;
  while ((await size()) < 16 * MIB && Date.now() < end) await sleep(50);
  run.kill(how);
  await run.end;
  await scene.stopServer();
  expect((await afterKill(scene.truth)).violations).toEqual([]);
}

async function files(scene: Scene, kind: Kind): Promise<string[]> {
  const found = (await kept(scene)).filter(kinds[kind]);
  expect(found.length, `files of the ${kind}`).toBeGreaterThan(0);
  return found;
}

async function flip(path: string, seed: number): Promise<void> {
  const bytes = await readFile(path);
  const pick = randomIntegers(`flip ${seed}`);
  for (let n = 0; n < 3; n += 1) {
    const at = pick(bytes.length);
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << pick(8)), at);
  }
  await writeFile(path, bytes);
}

async function goesOn(
  scene: Scene,
  env: Record<string, string> = {},
  ...words: string[]
): Promise<{ resumedBytes: number }> {
  await scene.ensureServer();
  const { code, stdout, stderr } = await scene.pb(scene.words(...words), { env });
  expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
  expect(await afterDone(scene.truth)).toEqual([]);
  return JSON.parse(stdout) as { resumedBytes: number };
}

const make = (direction: Direction) =>
  Scene.make({ direction, transport: "udp", move: false, workload: mixed });

describe.each<readonly [Kind, "SIGKILL" | "SIGINT", Direction]>([
  ["journal", "SIGKILL", "up"],
  ["journal", "SIGKILL", "down"],
  ["index", "SIGINT", "down"],
  ["binding", "SIGKILL", "up"],
])("%s (%s, %s)", (kind, how, direction) => {
  test("with flipped bits: the job goes on, and nothing is believed wrongly", async () => {
    await using scene = await make(direction);
    await interrupt(scene, how);
    for (const [seed, path] of (await files(scene, kind)).entries()) await flip(path, seed);
    await goesOn(scene);
  });

  test("torn: the job goes on", async () => {
    await using scene = await make(direction);
    await interrupt(scene, how);
    for (const path of await files(scene, kind)) {
      await truncate(path, Math.max(0, (await stat(path)).size - 7));
    }
    await goesOn(scene);
  });
});

test("the journal of another job is refused by name, and --resume never begins afresh", async () => {
  await using other = await make("down");
  await interrupt(other, "SIGKILL");
  const [foreign = ""] = await files(other, "journal");
  await using scene = await make("down");
  await interrupt(scene, "SIGKILL");
  for (const path of await files(scene, "journal")) await writeFile(path, await readFile(foreign));
  await scene.ensureServer();
  const refused = await scene.pb(scene.words());
  expectError(refused, 1, "wrong_job");
  expect((await afterKill(scene.truth)).violations).toEqual([]);
  expect((await goesOn(scene, {}, "--resume", "never")).resumedBytes).toBe(0);
});

/** Every look at the time of day, in JavaScript, is ten years off; the monotonic clock is not. */
const SHIFT = `const Real = Date; const by = Number(process.env.PB_TEST_SHIFT_MS);
globalThis.Date = class extends Real { constructor(...a) { a.length === 0 ? super(Real.now() + by) : super(...a); } static now() { return Real.now() + by; } };`;
const TEN_YEARS_MS = 3_652 * 86_400_000;

test.each([-TEN_YEARS_MS, TEN_YEARS_MS])("a clock that is off by %i ms changes nothing", async (by) => {
  await using scene = await make("down");
  await interrupt(scene, "SIGKILL");
  const preload = scene.folder.at("shift.cjs");
  await writeFile(preload, SHIFT);
  const receipt = await goesOn(scene, {
    NODE_OPTIONS: `--require ${preload}`,
    PB_TEST_SHIFT_MS: String(by),
  });
  expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
});
