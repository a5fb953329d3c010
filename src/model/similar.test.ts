import { expect, test } from "vitest";
import { mostSimilar } from "./similar.ts";

test.each([
  ["bxo", "box"],
  ["bo", "box"],
  ["stroe", "store"],
  ["nightly-backpus", "nightly-backups"],
  ["ab", "a"],
  ["far", undefined],
  ["", undefined],
  ["verylongname", undefined],
])("%j may mean %j", (word, name) => {
  expect(mostSimilar(word, ["a", "box", "nas2", "store", "nightly-backups"])).toBe(name);
});
