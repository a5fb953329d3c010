import { expect, test } from "vitest";
import { choosePoints } from "./choose.ts";
import type { Point } from "./killpoint.ts";

const points: Point[] = Array.from({ length: 200 }, (_, n) => ({
  number: n + 1,
  thread: n % 50 === 0 ? "pb-commit" : `pb-udp-${n % 3}`,
  call: n % 50 === 0 ? "renameat" : "sendmsg",
  target: "",
}));

test("each kind of call is chosen as often as any other, in the order of the job", () => {
  const chosen = choosePoints(points, 6, 3);
  expect(chosen).toHaveLength(6);
  expect(chosen.filter(({ call }) => call === "renameat")).toHaveLength(3);
  expect(chosen.map(({ number }) => number)).toEqual(
    [...new Set(chosen.map(({ number }) => number))].sort((a, b) => a - b),
  );
});

test("the same seed chooses the same, another one others, and all are enough", () => {
  expect(choosePoints(points, 9, 1)).toEqual(choosePoints(points, 9, 1));
  expect(choosePoints(points, 9, 1)).not.toEqual(choosePoints(points, 9, 2));
  expect(choosePoints(points, 1_000, 1)).toHaveLength(points.length);
});
