import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startPair } from "./harness.ts";
import { writeRandomFile } from "./lib/random.ts";

test("--discard measures the way: a receipt like any other, and nothing at the destination", async () => {
  await using pair = await startPair();
  const from = pair.scratch.at("from");
  await mkdir(from);
  await writeRandomFile(join(from, "large"), 3_000_001, "discard");
  await writeFile(join(from, "small"), "small");

  const up = await pair.ok(["cp", "--json", "--discard", from, "box:/new/folder"]);
  expect(up.json()).toMatchObject({
    state: "done",
    discarded: true,
    fsync: false,
    files: 2,
    bytes: 3_000_006,
  });
  expect(await readdir(pair.root)).toEqual([]);

  await pair.ok(["cp", from, "box:/real"]);
  const down = pair.scratch.at("down");
  const people = await pair.ok(["cp", "--discard", "box:/real", down]);
  expect(people.stderr).toContain("discarded: nothing was written");
  expect(existsSync(down)).toBe(false);

  const refused = async (...args: string[]) => {
    const { code, stderr } = await pair.pb(args);
    return [code, stderr.split("\n", 1)[0]];
  };
  expect(await refused("mv", "--discard", from, "box:/moved")).toEqual([
    2,
    expect.stringContaining("--discard"),
  ]);
  const toStdout = await refused("cp", "--discard", "box:/real/small", "-");
  expect(toStdout).toEqual([2, expect.stringContaining("standard output")]);
  expect((await refused("cp", "--discard", join(from, "small"), "box:/real/small/under"))[0]).not.toBe(0);
  expect((await readdir(pair.root)).sort()).toEqual(["real"]);
});
