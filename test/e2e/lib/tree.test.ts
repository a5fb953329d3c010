import { chmod, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { scratch } from "./scratch.ts";
import { differences, leftovers, makeSparseFile, makeTree } from "./tree.ts";

test("the same seed makes the same tree, and differences() sees each kind of difference", async () => {
  await using folder = scratch();
  const [a, b] = [folder.at("a"), folder.at("b")];
  await makeTree(a, { files: 40, seed: 7 });
  await makeTree(b, { files: 40, seed: 7 });
  expect(await differences(a, b, { times: false })).toEqual([]);

  await chmod(folder.at("b", "empty"), 0o701);
  await rm(folder.at("b", "dangling"));
  await writeFile(folder.at("b", "extra"), "x");
  expect(await differences(a, b, { times: false })).toEqual([
    "dangling: only in the first",
    "empty: mode 750 and 701",
    "extra: only in the second",
  ]);
});

test("times, content and holes are compared", async () => {
  await using folder = scratch();
  const [a, b] = [folder.at("a"), folder.at("b")];
  await makeSparseFile(a, 8 << 20);
  await makeSparseFile(b, 8 << 20);
  await utimes(a, 1, 1);
  await utimes(b, 1, 1);
  expect(await differences(a, b)).toEqual([]);
  await writeFile(b, Buffer.alloc(4 << 20, 1), { flag: "r+" });
  await utimes(b, 2, 2);
  const found = await differences(a, b);
  expect(found).toContain(": content differs");
  expect(found).toContain(": mtime 1000000000 and 2000000000");
  expect(found.some((line) => line.includes("allocated"))).toBe(true);
  await truncate(b, 5);
  expect(await differences(a, b, { times: false })).toEqual([`: ${8 << 20} and 5 bytes`]);
});

test("leftovers() sees temporary names at any depth", async () => {
  await using folder = scratch();
  await makeTree(folder.at("t"), { files: 5, seed: 1 });
  expect(await leftovers(folder.path)).toEqual([]);
  await writeFile(folder.at("t", "empty", ".pb-12-3.part"), "");
  expect(await leftovers(folder.path)).toEqual(["t/empty/.pb-12-3.part"]);
});
