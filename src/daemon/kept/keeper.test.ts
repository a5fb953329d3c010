import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Checkpoint, PartRecord, RecoveredCheckpoint } from "../../model/checkpoint.ts";
import type { Caller } from "../../model/identity.ts";
import { Keeper, type KeeperOptions } from "./keeper.ts";

let top: string;
let count = 0;
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "pb-keeper-"));
});
afterAll(() => rm(top, { recursive: true, force: true }));

const JOB = "00000000-0000-4000-8000-000000000001";
const OTHER = "00000000-0000-4000-8000-000000000002";
const ann: Caller = { clientId: "ann", name: "ann", readOnly: false, path: "/" };
const bob: Caller = { clientId: "bob", name: "bob", readOnly: false, path: "/" };
const target = { path: "in", exactName: false };
const part = { target: "big", temporary: new Uint8Array([1]) } as PartRecord;
const RECOVERED = { parts: [part], notes: [] } as unknown as RecoveredCheckpoint;
const DAY_MS = 86_400_000;

/** A keeper over a checkpoint that only makes its folder. */
function newKeeper(known: readonly Caller[] = [ann, bob]) {
  count += 1;
  const folder = join(top, `state${count}`, "checkpoints");
  const removed: string[] = [];
  const clock = { nowMs: Date.now() };
  const options: KeeperOptions = {
    folder,
    checkpoints: {
      async open({ directory, binding }) {
        await mkdir(directory, { recursive: true });
        await writeFile(join(directory, "binding"), binding.destination);
        return {
          recovered: RECOVERED,
          progress: () => RECOVERED.parts,
          close: async () => {},
          stats: () => undefined,
        } as unknown as Checkpoint;
      },
      inspect: async () => ({ recovered: RECOVERED }),
    },
    removeParts: async ({ clientId }, { path }, parts) => {
      removed.push(...parts.map((each) => `${clientId} ${path} ${each.target}`));
    },
    removeStrays: async ({ clientId }, { path }) => {
      removed.push(`${clientId} ${path} strays`);
    },
    client: async (id) => {
      const caller = [ann, bob].find(({ clientId }) => clientId === id);
      return caller && { caller, revoked: !known.includes(caller) };
    },
    keepMs: 30 * DAY_MS,
    now: () => clock.nowMs,
  };
  /** Another server's, after the one before was killed. */
  const again = () => new Keeper(options);
  return { keeper: again(), folder, removed, clock, again };
}

const entering = (jobId = JOB, resume = true) => ({ jobId, resume, target });
const code = (text: string) => expect.objectContaining({ code: text });

describe("what a server keeps of jobs", () => {
  it("is its client's alone", async () => {
    const { keeper, folder, removed } = newKeeper();
    await (await keeper.enter(ann, entering())).leave({ discard: false });
    await (await keeper.enter(bob, entering())).leave({ discard: false });
    expect((await keeper.list(ann)).map(({ id }) => id)).toEqual([JOB]);
    expect(await keeper.discard(bob, JOB)).toBe(true);
    expect(await keeper.discard(bob, JOB)).toBe(false);
    // What is cancelled leaves nothing, whatever its records know.
    expect(removed).toEqual(["bob in big", "bob in strays"]);
    expect(await readdir(join(folder, "bob"))).toEqual([]);
    expect((await readdir(join(folder, "ann"))).sort()).toEqual([JOB, `${JOB}.json`]);
  });

  it.each(["", "..", "../ann/x", JOB.toUpperCase().replace("0", "A"), `${JOB}/x`])(
    "takes no id that is none: %j",
    async (id) => {
      const { keeper } = newKeeper();
      await expect(keeper.enter(ann, entering(id))).rejects.toThrow(code("invalid_argument"));
      await expect(keeper.discard(ann, id)).rejects.toThrow(code("invalid_argument"));
    },
  );

  it("is at work in one run: a second one stops the first and waits for it", async () => {
    const { keeper } = newKeeper();
    const first = await keeper.enter(ann, entering());
    let left = false;
    first.signal.addEventListener("abort", () => {
      setTimeout(() => {
        left = true;
        void first.leave({ discard: false });
      }, 20);
    });
    const second = await keeper.enter(ann, entering());
    expect([left, first.signal.aborted, second.signal.aborted]).toEqual([true, true, false]);
    await first.leave({ discard: true });
    expect((await keeper.list(ann)).map(({ live }) => live)).toEqual([true]);
    await second.leave({ discard: false });
    expect((await keeper.list(ann)).map(({ live }) => live)).toEqual([false]);
  });

  it("what a killed run left without a record goes when the job ends well, or is discarded", async () => {
    const { keeper, removed, again } = newKeeper();
    await (await keeper.enter(ann, entering())).tidy();
    expect(removed).toEqual([]);
    const after = again();
    const second = await after.enter(ann, entering());
    await second.leave({ discard: false });
    const third = await after.enter(ann, entering());
    await third.tidy();
    expect(removed).toEqual(["ann in strays"]);
    await third.leave({ discard: true });
    expect(removed).toEqual(["ann in strays", "ann in big"]);
    await after.enter(ann, entering(OTHER));
    expect(await again().discard(ann, OTHER)).toBe(true);
    expect(removed.slice(2)).toEqual(["ann in big", "ann in strays"]);
  });

  it("is discarded before a run that begins afresh, parts first", async () => {
    const { keeper, removed } = newKeeper();
    await (await keeper.enter(ann, entering())).leave({ discard: false });
    await (await keeper.enter(ann, entering(JOB, false))).leave({ discard: false });
    expect(removed).toEqual(["ann in big"]);
  });

  it("expires by its age, not by a clock ten years off, and goes with its client's access", async () => {
    const known = [ann, bob];
    const { keeper, folder, clock } = newKeeper(known);
    for (const [caller, id] of [
      [ann, JOB],
      [ann, OTHER],
      [bob, JOB],
    ] as const) {
      await (await keeper.enter(caller, entering(id))).leave({ discard: false });
    }
    const old = new Date(clock.nowMs - 31 * DAY_MS);
    await utimes(join(folder, "ann", `${OTHER}.json`), old, old);
    known.pop();
    await keeper.sweep();
    expect(await readdir(join(folder, "bob"))).toEqual([]);
    expect((await keeper.list(ann)).map(({ id }) => id)).toEqual([JOB]);
    for (const years of [10, -10]) {
      clock.nowMs += years * 365 * DAY_MS;
      await keeper.sweep();
      expect(existsSync(join(folder, "ann", JOB))).toBe(true);
    }
    clock.nowMs += 31 * DAY_MS;
    await keeper.sweep();
    expect(await keeper.list(ann)).toEqual([]);
  });
});
