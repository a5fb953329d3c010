import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PumpAsk } from "../../native/pump.ts";
import { Runs } from "./runs.ts";

const LENGTH = 10;

/** Of a file of so many reads, of which one call has four at most. */
function gathering(reads = 100, most = 4) {
  const begun: number[][] = [];
  const ends: (() => void)[] = [];
  const runs = new Runs({
    mostBytes: most * LENGTH,
    size: reads * LENGTH,
    start: (run) => {
      begun.push(run.map(({ offset }) => offset / LENGTH));
      let left = run;
      const split = () => left.slice(Math.ceil(left.length / 2));
      return {
        done: new Promise((end) => ends.push(end)),
        left: () => left.length,
        split() {
          const taken = split();
          left = left.slice(0, left.length - taken.length);
          return taken;
        },
      };
    },
  });
  const add = (...indices: number[]) => {
    for (const index of indices) {
      const ask = { number: index, kind: "read", id: 1, offset: index * LENGTH, length: LENGTH } as const;
      runs.add(ask satisfies PumpAsk);
    }
  };
  const end = async () => {
    ends.shift()?.();
    await vi.advanceTimersByTimeAsync(100);
  };
  const settle = () => vi.advanceTimersByTimeAsync(100);
  return { add, begun, end, settle };
}

describe("reads of one file", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("go together when they follow each other, in whatever order they come", async () => {
    const { add, begun, settle } = gathering();
    add(0, 2, 3, 4, 5);
    expect(begun).toEqual([]);
    add(1, 6, 7, 8);
    await settle();
    expect(begun).toEqual([[0, 1, 2, 3], [4, 5, 6, 7], [8]]);
  });

  it("begin at once where a run is whole, while others are under way", async () => {
    const { add, begun, settle } = gathering();
    add(0);
    await settle();
    add(1, 2, 3);
    expect(begun).toEqual([[0]]);
    add(4);
    expect(begun).toEqual([[0], [1, 2, 3, 4]]);
  });

  it("wait for others as long as enough is under way, and no longer", async () => {
    const { add, begun, end, settle } = gathering();
    for (const first of [0, 10, 20, 30]) add(first);
    await settle();
    add(40, 41);
    await settle();
    expect(begun).toEqual([[0], [10], [20], [30]]);
    await end();
    expect(begun.slice(4)).toEqual([[40, 41]]);
  });

  it("wait for nothing where they are all of the file", () => {
    const { add, begun } = gathering(2);
    add(0, 1);
    expect(begun).toEqual([[0, 1]]);
  });

  it("wait while more come, and not for ever", async () => {
    const { add, begun } = gathering();
    for (const index of [3, 2, 1]) {
      add(index);
      await vi.advanceTimersByTimeAsync(4);
    }
    expect(begun).toEqual([]);
    add(0);
    expect(begun).toEqual([[0, 1, 2, 3]]);
    const many = gathering();
    for (let index = 50; many.begun.length === 0 && index > 0; index -= 2) {
      many.add(index);
      await vi.advanceTimersByTimeAsync(4);
    }
    expect(many.begun.length).toBeGreaterThan(0);
  });

  it("are shared with whoever is done first, where the end was asked for and much is left", async () => {
    const { add, begun, end } = gathering(32, 16);
    add(...Array(32).keys());
    expect(begun.map(({ length }) => length)).toEqual([16, 16]);
    await end();
    // Of the 16 that are left a half, and of the larger half one more; what is less stays where it is.
    const [, , third, fourth, fifth] = begun;
    expect(third).toEqual([24, 25, 26, 27, 28, 29, 30, 31]);
    expect(fourth?.length).toBe(4);
    expect(fifth?.length).toBe(4);
  });

  it("are not shared before that", async () => {
    const { add, begun, end } = gathering(64, 16);
    add(...Array(32).keys());
    await end();
    expect(begun.length).toBe(2);
  });

  it("that have a hole between them are apart", async () => {
    const { add, begun, settle } = gathering();
    add(0, 1, 10, 20, 21, 11);
    await settle();
    expect(begun).toEqual([
      [0, 1],
      [10, 11],
      [20, 21],
    ]);
  });
});
