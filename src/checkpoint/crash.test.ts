import { describe, expect, it } from "vitest";
import { Disk, type Operation } from "./testing/crash-disk.ts";
import { CrashFiles } from "./testing/crash-files.ts";
import { History } from "./testing/history.ts";
import { LIFE, live, openOn, violation } from "./testing/life.ts";

interface Run {
  readonly log: Operation[];
  readonly history: History;
  readonly syncs: readonly string[];
}

/** Opened, closed half-way, opened, closed. `dropped`: number of the sync that does nothing. */
async function wholeRun(dropped = -1): Promise<Run> {
  const disk = new Disk();
  const log: Operation[] = [];
  const syncs: string[] = [];
  const history = new History(() => log.length, undefined);
  const process = () =>
    new CrashFiles({ disk, log, dropSync: ({ path }) => syncs.push(path) - 1 === dropped });
  for (const batches of [LIFE.slice(0, 6), LIFE.slice(6)]) {
    const checkpoint = await openOn(process());
    await live(history, checkpoint, batches);
    await checkpoint.close();
  }
  return { log, history, syncs };
}

describe("a power cut", () => {
  it("at any operation, with any of what was not synced, leaves what was recorded at some point, and all that was acknowledged", async () => {
    const { log, history } = await wholeRun();
    expect(history.acknowledgedAt.every((at) => Number.isFinite(at))).toBe(true);
    const allows = history.allows.bind(history);
    expect(await violation(log, { everyByte: true, random: 3, allows })).toBeUndefined();
  }, 120_000);

  it("would not be survived without any single one of the syncs", async () => {
    const { syncs } = await wholeRun();
    const needless: string[] = [];
    for (const [dropped, path] of syncs.entries()) {
      const { log, history } = await wholeRun(dropped);
      const allows = history.allows.bind(history);
      const found = await violation(log, { everyByte: false, random: 2, allows });
      if (found === undefined) needless.push(`${dropped} ${path}`);
    }
    expect(needless).toEqual([]);
  }, 120_000);
});

describe("a process that is killed", () => {
  /** Killed after `changes`, gone on with by another process; then the power is cut. The other's syncs of `dropped` do nothing. */
  async function killed(
    changes: number,
    dropped?: RegExp,
  ): Promise<{ over: boolean; found: string | undefined }> {
    const disk = new Disk();
    const log: Operation[] = [];
    const before = new History(() => log.length, undefined);
    const first = new CrashFiles({ disk, log, dieAfter: changes });
    const life = openOn(first).then((checkpoint) => live(before, checkpoint, LIFE.slice(0, 9)));
    await Promise.race([life, first.died]);
    const over = log.filter(({ change }) => change !== "sync").length < changes;
    first.kill();

    const from = log.length;
    const second = new CrashFiles({ disk, log, dropSync: ({ path }) => dropped?.test(path) ?? false });
    const checkpoint = await openOn(second);
    const after = new History(() => log.length, checkpoint.recovered);
    await live(after, checkpoint, LIFE.slice(9, 11));
    await checkpoint.close();
    const allows = (text: string, operations: number) =>
      after.allows(text, operations) ||
      (operations < (after.acknowledgedAt[1] ?? 0) && before.allows(text, from));
    expect(before.allows(after.states[0] ?? "", from)).toBe(true);
    return { over, found: await violation(log, { few: true, everyByte: false, random: 3, from, allows }) };
  }

  async function firstViolation(dropped?: RegExp): Promise<string | undefined> {
    for (let changes = 1; ; changes += 1) {
      const { over, found } = await killed(changes, dropped);
      if (found !== undefined) return `killed after ${changes} changes, ${found}`;
      if (over) return undefined;
    }
  }

  it("anywhere, is gone on with, and a power cut then loses nothing either", async () => {
    expect(await firstViolation()).toBeUndefined();
  }, 120_000);

  it.each([
    ["the journal that it left", /journal-\d+$/],
    ["the index that it left", /done$/],
    ["the folder of snapshots", /active$/],
    ["the folder", /\/j$/],
  ])(
    "leaves what is not durable: without the syncs of %s something is lost",
    async (_, dropped) => {
      expect(await firstViolation(dropped)).toBeDefined();
    },
    120_000,
  );
});
