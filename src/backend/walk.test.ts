import { expect, test } from "vitest";
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { inParallel, walkFolders } from "./walk.ts";

const entry = (path: string, kind: Entry["kind"]): Entry => ({
  path,
  kind,
  size: 0,
  mtimeNs: 0n,
  mode: 0,
  uid: 0,
  gid: 0,
});

/** By folder: names, those of folders with a slash. */
const TREE: Readonly<Record<string, readonly string[]>> = {
  "": ["b.txt", "b/", "a/", "Z"],
  a: ["2"],
  b: ["y", "x/"],
  "b/x": ["1"],
};

function read(at: string) {
  const names = TREE[at];
  if (!names) throw new PbError("permission_denied", "no", { path: at });
  const entries = names.map((name) =>
    entry(`${at === "" ? "" : `${at}/`}${name.replace("/", "")}`, name.endsWith("/") ? "directory" : "file"),
  );
  return Promise.resolve({ entries, errors: [] });
}

async function paths(
  levels: number,
  how: (at: string) => Promise<{ entries: Entry[]; errors: PbError[] }> = read,
) {
  const found: string[] = [];
  const errors: PbError[] = [];
  for await (const batch of walkFolders({ read: how, levels })) {
    found.push(...batch.entries.map(({ path }) => path));
    errors.push(...batch.errors);
  }
  return { found, errors };
}

test("a folder before its content, by the bytes of the names", async () => {
  const { found } = await paths(0);
  expect(found).toEqual(["Z", "a", "a/2", "b", "b/x", "b/x/1", "b/y", "b.txt"]);
  expect((await paths(1)).found).toEqual(["Z", "a", "b", "b.txt"]);
  expect((await paths(2)).found).toEqual(["Z", "a", "a/2", "b", "b/x", "b/y", "b.txt"]);
});

test("a folder that cannot be read is an error among others; the first and an abort end it", async () => {
  const without = (at: string, error: PbError) => (asked: string) =>
    asked === at ? Promise.reject(error) : read(asked);
  const denied = new PbError("permission_denied", "no", { path: "b" });
  const { found, errors } = await paths(0, without("b", denied));
  expect(found).toEqual(["Z", "a", "a/2", "b", "b.txt"]);
  expect(errors).toEqual([denied]);
  await expect(paths(0, without("", denied))).rejects.toBe(denied);
  const aborted = new PbError("aborted", "interrupted");
  await expect(paths(0, without("b", aborted))).rejects.toBe(aborted);
});

test("inParallel begins no more after a failure", async () => {
  const begun: number[] = [];
  const run = inParallel([0, 1, 2, 3, 4, 5], 2, async (item) => {
    begun.push(item);
    await Promise.resolve();
    if (item === 1) throw new Error("one");
  });
  await expect(run).rejects.toThrow("one");
  await new Promise((done) => setTimeout(done, 5));
  expect(begun.length).toBeLessThan(6);
});
