import { expect, test } from "vitest";
import { lastOverFirstTenth, summary } from "./statistics.ts";

test("medians, also of an even number and of one", () => {
  expect(summary([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(summary([4, 1, 10, 2])).toEqual({ median: 3, min: 1, max: 10 });
  expect(summary([7])).toEqual({ median: 7, min: 7, max: 7 });
});

test("values sort as numbers", () => {
  expect(summary([10, 9, 100])).toEqual({ median: 10, min: 9, max: 100 });
});

test("nothing has no summary", () => {
  expect(() => summary([])).toThrow("at least one");
});

test("a steady rate is flat, a falling one is below 1", () => {
  const steady = Array.from({ length: 100 }, (_, n) => n * 5);
  expect(lastOverFirstTenth(steady.toReversed())).toBe(1);
  const slower = Array.from({ length: 100 }, (_, n) => (n < 50 ? n : 50 + (n - 50) * 2));
  expect(lastOverFirstTenth(slower)).toBe(0.5);
});

test("too few files, or all at one moment, cannot tell", () => {
  expect(lastOverFirstTenth([1, 2, 3])).toBeUndefined();
  expect(lastOverFirstTenth(new Array(100).fill(7))).toBeUndefined();
});
