import { expect, it, vi } from "vitest";
import type { Backend } from "../backend/backend.ts";
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { existingEntries } from "./destination.ts";

const entry = (path: string, kind: Entry["kind"] = "file"): Entry => ({
  ...{ path, kind, size: 1, mtimeNs: 1n, mode: 0, uid: 0, gid: 0 },
});
const signal = new AbortController().signal;

function destination(errors: readonly PbError[]) {
  const stat = vi.fn(async (path: string) => {
    if (path === "/to/closed/there") return entry("there");
    throw new PbError(path.endsWith("/x") ? "permission_denied" : "not_found", "no");
  });
  const backend = {
    stat,
    async *list() {
      yield { entries: [entry("a"), entry("closed", "directory")], errors };
      yield { entries: [entry("z")], errors: [] };
    },
  };
  const options = { path: "/to", top: entry("", "directory"), signal };
  return { stat, existing: existingEntries(backend as Partial<Backend> as Backend, options) };
}

const WANTED = ["a", "b", "closed/there", "closed/x", "z"];
const THERE = ["a", undefined, undefined, undefined, "z"];

it("what is at a destination is known from one listing", async () => {
  const { stat, existing } = destination([]);
  const found: (string | undefined)[] = [];
  for (const path of WANTED) found.push((await existing.find(path))?.path);
  expect([found, stat.mock.calls]).toEqual([THERE, []]);
});

it("what may be in a folder that can't be read is asked for: a move would write over it", async () => {
  const { existing } = destination([new PbError("permission_denied", "no", { path: "/to/closed" })]);
  const found: (string | undefined)[] = [];
  for (const path of WANTED) found.push((await existing.find(path))?.path);
  expect(found).toEqual(["a", undefined, "there", undefined, "z"]);
});
