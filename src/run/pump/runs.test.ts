import { describe, expect, it } from "vitest";
import type { PumpAsk } from "../../native/pump.ts";
import { Runs } from "./runs.ts";

function gathering(mostBytes: number) {
  const begun: number[][] = [];
  const ends: (() => void)[] = [];
  const runs = new Runs(mostBytes, (run) => {
    begun.push(run.map(({ offset }) => offset));
    return new Promise((end) => ends.push(end));
  });
  const add = (...offsets: number[]) => {
    for (const offset of offsets)
      runs.add({ number: offset, kind: "read", id: 1, offset, length: 10 } satisfies PumpAsk);
  };
  const end = async () => {
    ends.shift()?.();
    for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
  };
  return { add, begun, end };
}

describe("reads of one file", () => {
  it("go alone while little is under way, and together when they follow each other", () => {
    const { add, begun } = gathering(40);
    add(0, 10, 30, 20, 40, 50, 60);
    expect(begun).toEqual([[0], [10], [20, 30, 40, 50]]);
  });

  it("wait for no more than what is under way", async () => {
    const { add, begun, end } = gathering(40);
    add(0, 10, 20, 30);
    expect(begun).toEqual([[0], [10]]);
    await end();
    expect(begun).toEqual([[0], [10], [20, 30]]);
  });

  it("that have a hole between them are apart", async () => {
    const { add, begun, end } = gathering(40);
    add(0, 10, 100, 200, 210, 110);
    await end();
    await end();
    expect(begun).toEqual([[0], [10], [100, 110], [200, 210]]);
  });
});
