import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHUNK_VALUE_BYTES } from "../model/checkpoint.ts";
import { Malformed } from "./bytes.ts";
import { ChunkSet, eachRun } from "./chunks.ts";
import { runs } from "./testing/history.ts";

/** Index -> first byte of its value. */
function told(encoded: Uint8Array): Map<number, number> {
  const map = new Map<number, number>();
  for (const { first, count, values } of eachRun(encoded)) {
    for (let at = 0; at < count; at += 1) map.set(first + at, values[at * CHUNK_VALUE_BYTES] ?? -1);
  }
  return map;
}

describe("a set of chunks", () => {
  const aRun = fc.tuple(fc.nat(255), fc.nat(2_000), fc.integer({ min: 1, max: 700 }));

  it("is what it was told, the last value counting, in as few runs as there are stretches", () => {
    fc.assert(
      fc.property(fc.array(aRun, { maxLength: 12 }), (list) => {
        const set = new ChunkSet();
        const expected = new Map<number, number>();
        for (const [value, first, count] of list) {
          set.add(runs(value, [first, count]));
          for (let at = 0; at < count; at += 1) expected.set(first + at, value);
        }
        const encoded = set.runs();
        expect(new Map([...told(encoded)])).toEqual(new Map([...expected].sort(([a], [b]) => a - b)));
        expect(set.count).toBe(expected.size);
        expect(set.highest).toBe(Math.max(-1, ...expected.keys()));
        const stretches = [...expected.keys()].filter((index) => !expected.has(index - 1)).length;
        expect([...eachRun(encoded)]).toHaveLength(stretches);
        expect([...expected.keys()].every((index) => set.has(index))).toBe(true);
        expect(set.has(3_000)).toBe(false);
      }),
    );
  });

  it("takes chunks of the far end of the largest file", () => {
    const set = new ChunkSet();
    set.add(runs(1, [2 ** 52, 2]));
    expect([...eachRun(set.runs())]).toMatchObject([{ first: 2 ** 52, count: 2 }]);
  });

  it("refuses runs that are cut short, empty, or beyond 2^53", () => {
    const whole = runs(1, [5, 2]);
    for (const cut of [1, 11, 12, whole.length - 1]) {
      expect(() => new ChunkSet().add(whole.subarray(0, cut))).toThrow(Malformed);
    }
    expect(() => new ChunkSet().add(Buffer.alloc(12))).toThrow(Malformed);
    const far = Buffer.from(whole);
    far.fill(0xff, 0, 8);
    expect(() => new ChunkSet().add(far)).toThrow(Malformed);
  });
});
