import { expect, it } from "vitest";
import { resolveOptions } from "../model/transfer.ts";
import type { SendEntry } from "../native/types.ts";
import { type FeedOptions, feed } from "./feed.ts";

const entry = { size: 0, mtimeNs: 1n, mode: 0, uid: 0, gid: 0 };

it.each([
  [true, ["a", "a/b"]],
  [false, []],
])("the folders are remembered for a move (%s) alone", async (move, remembered) => {
  const pushed: string[] = [];
  const backend = {
    native: { kind: "root" },
    async *list() {
      const entries = ["a", "a/b"].map((path) => ({ ...entry, kind: "directory", path }));
      yield { entries: [...entries, { ...entry, kind: "file", path: "a/c" }], errors: [] };
    },
  };
  const endpoint = { backend, path: "/top", label: "top" };
  const resolved = [{ endpoint, kind: "directory", prefix: "" }];
  const { folders } = await feed({
    request: { options: resolveOptions({}), resolved, intoExisting: true, move },
    job: {
      push: async (entries: readonly SendEntry[]) => pushed.push(...entries.map(({ source }) => source)),
    },
    rootIndex: () => 0,
    report: { found: () => {}, error: () => {}, notice: () => {} },
    signal: new AbortController().signal,
  } as unknown as FeedOptions);
  expect(pushed).toEqual(["top/a", "top/a/b", "top/a/c"]);
  expect(folders.map(({ path }) => path)).toEqual(remembered);
});
