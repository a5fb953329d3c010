import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PumpAsk } from "../../native/pump.ts";
import { Runs } from "./runs.ts";

const LENGTH = 10;

/** Of a file of so many reads; one call is of four at most. */
function gathering(reads = 100) {
  const begun: number[][] = [];
  const ends: (() => void)[] = [];
  const runs = new Runs({
    mostBytes: 4 * LENGTH,
    size: reads * LENGTH,
    start: (run) => {
      begun.push(run.map(({ offset }) => offset / LENGTH));
      return new Promise((end) => ends.push(end));
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
