import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { DoneSet } from "./done-set.ts";

const keyOf = (number: number) => createHash("sha256").update(`${number}`).digest().subarray(0, 16);

describe("a set of keys", () => {
  it.each([0, 1_000, 200_000])(
    "with room for %i at first holds each key once, in order, and no other",
    (expected) => {
      const set = new DoneSet(expected);
      const count = 100_000; // more than one block, and tables that grow many times
      let inOrder = true;
      for (let number = 0; number < count; number += 1) inOrder &&= set.add(keyOf(number)) === number;
      expect(inOrder).toBe(true);
      expect(set.add(keyOf(4_711))).toBe(4_711);
      expect(set.size).toBe(count);
      const packed = set.packed();
      expect(packed).toHaveLength(count * 16);
      for (let number = 0; number < count; number += 97) {
        expect(set.has(keyOf(number))).toBe(true);
        expect(Buffer.compare(packed.subarray(number * 16, number * 16 + 16), keyOf(number))).toBe(0);
        expect(set.has(keyOf(count + number))).toBe(false);
      }
    },
  );

  it("tells keys apart that fall to one slot", () => {
    const set = new DoneSet();
    const keys = Array.from({ length: 50 }, (_, number) => new Uint8Array(16).fill(number, 15));
    for (const key of keys) set.add(key);
    expect(keys.map((key) => set.find(key))).toEqual(keys.map((_, number) => number));
    expect(set.find(new Uint8Array(16).fill(50, 15))).toBe(-1);
  });
});
