import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { openCheckpoint } from "./checkpoint.ts";
import { type ExpireOptions, expireCheckpoints } from "./expire.ts";
import { batch, done, part, runs } from "./testing/history.ts";

const DAY = 86_400_000;
const TEN_YEARS = 3_652 * DAY;
const made: string[] = [];
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "pb-expire-"));
  made.push(directory);
});
afterAll(async () => {
  for (const each of made) await rm(each, { recursive: true, force: true });
});

async function add(name: string): Promise<void> {
  const binding = { job: name, destination: "d" };
  await using checkpoint = await openCheckpoint({ directory: join(directory, name), binding });
  await checkpoint.record(batch({ parts: [part(1, runs(1, [0, 1]))], done: done(2) }));
}

const start = Date.now();
const expire = (day: number, more: Partial<ExpireOptions> = {}) =>
  expireCheckpoints(directory, { keepMs: 8 * DAY, maxCount: 100, now: start + day * DAY, ...more });
const left = async () => (await readdir(directory)).filter((name) => !name.startsWith(".")).sort();

describe("expiry", () => {
  it("removes what nobody wrote to for so long, and nothing before", async () => {
    await add("a");
    for (const day of [0, 2, 4]) expect((await expire(day)).removed).toEqual([]);
    await add("b");
    for (const day of [6, 7.9]) expect((await expire(day)).removed).toEqual([]);
    expect(await expire(8)).toEqual({ removed: ["a"], kept: 1, failed: [] });
    expect(await left()).toEqual(["b"]);
  });

  it.each([
    ["ahead", TEN_YEARS / DAY],
    ["back", -TEN_YEARS / DAY],
  ])("a clock that is ten years %s, and right again, makes nothing old", async (_, days) => {
    await add("a");
    for (const day of [0, days, 1, 2]) expect((await expire(day)).removed).toEqual([]);
    await add("b"); // written under either clock
    for (const day of [days, days + 1]) expect((await expire(day)).removed).toEqual([]);
    expect(await left()).toEqual(["a", "b"]);
  });

  it("keeps at most so many, those written last", async () => {
    await add("a");
    await expire(0);
    await add("b");
    await expire(1);
    await add("c");
    expect(await expire(1, { maxCount: 2 })).toMatchObject({ removed: ["a"], kept: 2 });
    expect(await expire(1, { maxCount: 0, inUse: (name) => name === "b" })).toMatchObject({ removed: ["c"] });
    expect(await left()).toEqual(["b"]);
  });

  it("gives the parts before, so that they can be removed; one that cannot stays", async () => {
    await add("a");
    await add("b");
    await writeFile(join(directory, "b", "binding"), "damaged");
    const seen: unknown[] = [];
    const beforeRemoval = async ({ name, parts }: { name: string; parts: readonly unknown[] }) => {
      seen.push([name, parts.length]);
      if (name === "a" && seen.length < 3) throw new Error("not now");
    };
    const first = await expire(0, { maxCount: 0, beforeRemoval });
    expect(first).toMatchObject({ removed: ["b"], kept: 1, failed: [{ message: "not now" }] });
    expect(await expire(0, { maxCount: 0, beforeRemoval })).toMatchObject({ removed: ["a"], failed: [] });
    expect(seen.sort()).toEqual([
      ["a", 1],
      ["a", 1],
      ["b", 0],
    ]);
  });

  it("leaves alone what is not a checkpoint, and starts again when its own notes are damaged", async () => {
    await add("a");
    await mkdir(join(directory, "other"));
    await writeFile(join(directory, "file"), "x");
    await expire(0);
    await writeFile(join(directory, ".ages"), "{");
    expect(await expire(9, { keepMs: 1 })).toMatchObject({ removed: [], kept: 1 });
    expect(await expire(10, { keepMs: 0 })).toMatchObject({ removed: ["a"] });
    expect(await left()).toEqual(["file", "other"]);
    expect(
      await expireCheckpoints(join(directory, "none"), { keepMs: 0, maxCount: 0, now: 0 }),
    ).toMatchObject({
      removed: [],
    });
  });
});
