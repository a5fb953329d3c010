import { describe, expect, test } from "vitest";
import { fakeFiles, fakeServices } from "../testing/services.ts";
import { expandGlobs, splitGlob } from "./glob.ts";
import { formatPlace, parsePlace } from "./place.ts";

const tree = {
  "/": 0,
  "/logs/": 0,
  "/logs/a.gz": 1,
  "/logs/b.gz": 2,
  "/logs/.hidden.gz": 3,
  "/logs/old/": 0,
  "/logs/old/c.gz": 4,
  "/logs/[x].txt": 5,
};

async function expand(...words: string[]) {
  const { files } = fakeServices({ files: fakeFiles(tree) });
  const places = words.map((word) => parsePlace(word, "/"));
  const { places: found, globbed } = await expandGlobs(places, {
    files,
    signal: new AbortController().signal,
  });
  return { found: found.map(formatPlace), globbed };
}

describe("globs", () => {
  test("are split at the first component that has one", () => {
    expect(splitGlob("/a/b*/c")).toEqual({ base: "/a", pattern: "b*/c" });
    expect(splitGlob("/*.gz")).toEqual({ base: "/", pattern: "*.gz" });
  });

  test("a plain word is not looked up", async () => {
    expect(await expand("box:/nothing")).toEqual({ found: ["box:/nothing"], globbed: false });
  });

  test("match in one folder, without hidden names", async () => {
    expect(await expand("box:/logs/*.gz")).toEqual({
      found: ["box:/logs/a.gz", "box:/logs/b.gz"],
      globbed: true,
    });
  });

  test("match here as on remotes", async () => {
    expect(await expand("/logs/{a,b}.gz")).toEqual({ found: ["/logs/a.gz", "/logs/b.gz"], globbed: true });
  });

  test("** crosses folders; what is inside a match comes with it", async () => {
    expect((await expand("box:/**/c.gz")).found).toEqual(["box:/logs/old/c.gz"]);
    // old/c.gz matches too, but arrives inside old.
    expect((await expand("box:/lo*/**")).found).toEqual([
      "box:/logs/a.gz",
      "box:/logs/b.gz",
      "box:/logs/old",
      "box:/logs/[x].txt",
    ]);
  });

  test("a thing that has the very name is that thing", async () => {
    expect(await expand("box:/logs/[x].txt")).toEqual({ found: ["box:/logs/[x].txt"], globbed: false });
  });

  test("no match is an error that names the glob", async () => {
    await expect(expand("box:/logs/*.zip")).rejects.toMatchObject({
      code: "not_found",
      message: "nothing matches box:/logs/*.zip",
    });
  });
});
