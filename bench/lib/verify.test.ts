import { cpSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { randomBytes } from "../../test/e2e/lib/random.ts";
import { type Scratch, scratch } from "../../test/e2e/lib/scratch.ts";
import { finishTimes, firstDifference } from "./verify.ts";

let folder: Scratch;
const compare = () => firstDifference(folder.at("a"), folder.at("b"));

beforeEach(() => {
  folder = scratch();
  cpSync(import.meta.dirname, folder.at("a"), { recursive: true });
  writeFileSync(folder.at("a", "big"), randomBytes("verify", (2 << 20) + 3));
  cpSync(folder.at("a"), folder.at("b"), { recursive: true });
});
afterEach(() => folder[Symbol.asyncDispose]());

test("a copy equals its original", () => {
  expect(compare()).toBeUndefined();
  expect(finishTimes(folder.at("b")).length).toBe(finishTimes(import.meta.dirname).length + 1);
});

test("one byte at the very end is seen", () => {
  const bytes = randomBytes("verify", (2 << 20) + 3);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(folder.at("b", "big"), bytes);
  expect(compare()).toMatch(/big differs after byte 2097152/);
});

test("what is shorter, missing, more, or a folder instead is seen", () => {
  truncateSync(folder.at("b", "big"), 5);
  expect(compare()).toMatch(/has 5 bytes, not 2097155/);
  rmSync(folder.at("b", "big"));
  expect(compare()).toMatch(/entries, not the/);
  expect(firstDifference(folder.at("a", "big"), folder.at("b", "big"))).toMatch(/is missing/);
  expect(firstDifference(folder.at("a"), folder.at("a", "big"))).toMatch(/another kind/);
});
