/**
 * What a receiver keeps of a job is damaged, torn, or another job's: the same command again ends well all the same,
 * and what can't be trusted is sent again.
 */
import { readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectError } from "../../e2e/lib/assert.ts";
import { randomIntegers } from "../../e2e/lib/random.ts";
import { goesOn, interrupt, mixed } from "../lib/interrupted.ts";
import { afterKill } from "../lib/oracle.ts";
import { type Direction, Scene } from "../lib/scene.ts";

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

const make = (direction: Direction) =>
  Scene.make({ direction, transport: "udp", move: false, workload: mixed });

describe.each<readonly [Kind, "SIGKILL" | "SIGINT", Direction]>([
  ["journal", "SIGKILL", "up"],
  ["journal", "SIGKILL", "down"],
  ["index", "SIGINT", "down"],
  ["binding", "SIGKILL", "up"],
  ["snapshot", "SIGINT", "up"],
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
