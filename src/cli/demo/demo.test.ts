import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cli } from "../testing/cli.ts";
import { difference } from "./compare.ts";
import { makeFile, makeTree } from "./data.ts";

const { signal } = new AbortController();
let folder = "";
const at = (...names: string[]) => join(folder, ...names);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pb-demo-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("the file is as large as asked and does not repeat", async () => {
  await makeFile(at("big"), 9_000_001, signal);
  expect(statSync(at("big")).size).toBe(9_000_001);
  const packed = execFileSync("gzip", ["-c", at("big")], { maxBuffer: 20_000_000 });
  expect(packed.length).toBeGreaterThan(8_900_000);
});

describe("trees are compared", () => {
  beforeEach(async () => {
    await makeTree(at("tree"), 120, signal);
    execFileSync("cp", ["-a", at("tree"), at("copy")]);
  });
  const some = (...names: string[]) => at("copy", "part-1", "group-1", ...names);

  test("equal", async () => {
    expect(readdirSync(at("tree", "part-2", "group-2"))).toHaveLength(20);
    expect(await difference(at("tree"), at("copy"), signal)).toBeUndefined();
  });

  test.each<[string, () => void, RegExp]>([
    ["a byte", () => keepingTime(some("file-60"), (path) => flipLastByte(path)), /file-60: content differs/],
    ["a time", () => utimesSync(some("file-60"), 1, 1), /file-60: modification time differs/],
    ["a mode", () => chmodSync(some("file-60"), 0o600), /file-60: kind or mode differs/],
    ["a missing file", () => unlinkSync(some("file-60")), /file-60: missing/],
    ["one too many", () => writeFileSync(some("extra"), ""), /extra: not in the source/],
    [
      "a size",
      () => keepingTime(some("file-60"), (path) => writeFileSync(path, "x")),
      /file-60: size differs/,
    ],
  ])("%s", async (_, change, message) => {
    change();
    expect(await difference(at("tree"), at("copy"), signal)).toMatch(message);
  });
});

function keepingTime(path: string, change: (path: string) => void): void {
  execFileSync("cp", ["-a", path, at("kept")]);
  change(path);
  execFileSync("touch", ["-r", at("kept"), path]);
}

function flipLastByte(path: string): void {
  const content = Buffer.from(execFileSync("cat", [path]));
  content[content.length - 1] = (content.at(-1) ?? 0) ^ 1;
  writeFileSync(path, content);
}

test("a disk that is too small is told before anything is made", async () => {
  const { code, stderr } = await cli(["demo", "--size", "4000T", "--dir", folder]);
  expect(code).toBe(7);
  expect(stderr).toContain("--size");
  expect(readdirSync(folder)).toEqual([]);
});
