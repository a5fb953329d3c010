import { expect, test } from "vitest";
import { Recent } from "./recent.ts";

test("is told once, for a moment, and only of what came last", () => {
  let now = 0;
  const recent = new Recent<string>(() => now);
  recent.leave("a", "old");
  recent.leave("a", "new");
  expect(recent.take("a")).toBe("new");
  expect(recent.take("a")).toBeUndefined();
  recent.leave("a", "new");
  now = 2_000;
  expect(recent.take("a")).toBeUndefined();
  for (let at = 0; at < 65; at += 1) recent.leave(`${at}`, "x");
  expect([recent.take("0"), recent.take("1")]).toEqual([undefined, "x"]);
});
