import { expect, test } from "vitest";
import { sharing, yielding } from "./analysis.ts";

const MEGABIT = 125_000;

test("shares over the time looked at, and Jain's index", () => {
  const series = { one: [999, 3 * MEGABIT, 3 * MEGABIT], other: [0, MEGABIT, MEGABIT] };
  const { oneBitsPerSec, otherBitsPerSec, jain } = sharing(series, 1, 3);
  expect([oneBitsPerSec, otherBitsPerSec]).toEqual([3e6, 1e6]);
  expect(jain).toBeCloseTo(16 / 20);
  expect(sharing({ one: [5, 5], other: [5, 5] }, 0, 2).jain).toBe(1);
});

test("when a flow yields, by how much, and when it is back", () => {
  const one = [10, 10, 5, 1, 1, 1, 1, 4, 9, 10].map((value) => value * MEGABIT);
  const other = [0, 0, 5, 9, 9, 9, 9, 0, 0, 0].map((value) => value * MEGABIT);
  const found = yielding({ one, other }, { start: 2, end: 7, rateBitsPerSec: 10e6 });
  expect(found.yieldedAfterSeconds).toBe(1);
  expect(found.othersShare).toBeCloseTo(0.9);
  expect(found.backAfterSeconds).toBe(1);
});

test("one that never yields and never comes back", () => {
  const found = yielding({ one: [9, 9, 0], other: [1, 1, 0] }, { start: 0, end: 2, rateBitsPerSec: 80 });
  expect(found).toMatchObject({ yieldedAfterSeconds: undefined, backAfterSeconds: undefined });
});
