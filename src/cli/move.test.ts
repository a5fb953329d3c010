import { describe, expect, test } from "vitest";
import { type ErrorCode, PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import { toConnectError } from "../wire/connect.ts";
import { cli } from "./testing/cli.ts";
import { fakeFiles } from "./testing/services.ts";

const text = (location?: { path: Uint8Array }) => pathText(location?.path ?? new Uint8Array());

/** Runs `pb mv`; a rename fails with the refusals first, one each. Gives what was asked of the services. */
async function move(words: readonly string[], refusals: ErrorCode[] = []) {
  const renamed: string[] = [];
  const made: string[] = [];
  const transferred: string[] = [];
  const run = await cli(["mv", ...words], {
    files: {
      ...fakeFiles({ "/": 0, "/f": 1, "/g": 2, "/d/": 0, "/d/x": 1, "/e/": 0, "/e/f": 3 }),
      rename: ({ source, destination, replace }) => {
        const code = refusals.shift();
        if (code) throw toConnectError(new PbError(code, code, { path: text(destination) }));
        renamed.push(`${text(source)} ${text(destination)}${replace ? " replace" : ""}`);
        return {};
      },
      mkdir: ({ location }) => {
        made.push(text(location));
        return { created: true };
      },
    },
    transfers: {
      async *start({ sources, destination, move: moves, several }) {
        const words = [
          ...sources.map(text),
          text(destination),
          moves ? "move" : "copy",
          several ? "several" : "one",
        ];
        transferred.push(words.join(" "));
        yield { event: { case: "receipt", value: { state: "done" } } as const };
      },
    },
  });
  return { ...run, renamed, made, transferred };
}

describe("within one place it is a rename", () => {
  test.each([
    ["a new name", ["box:/f", "box:/new"], ["/f /new"]],
    ["into a folder", ["box:/f", "box:/d"], ["/f /d/f"]],
    ["onto a file", ["box:/f", "box:/g"], ["/f /g replace"]],
    ["into a folder, onto a file", ["box:/f", "box:/e"], ["/f /e/f replace"]],
    ["a folder to a new name", ["box:/d", "box:/new"], ["/d /new"]],
    ["several", ["box:/f", "box:/d", "box:/e"], ["/f /e/f replace", "/d /e/d"]],
    ["a glob", ["box:/[fg]", "box:/d"], ["/f /d/f", "/g /d/g"]],
    ["here too", ["/f", "/new"], ["/f /new"]],
  ])("%s", async (_, words, renamed) => {
    expect(await move(words)).toMatchObject({ code: 0, renamed, transferred: [], made: [] });
  });

  test("folders above the new place are made when they are missing", async () => {
    const run = await move(["box:/f", "box:/new/deep/f"], ["not_found"]);
    expect(run).toMatchObject({ code: 0, made: ["/new/deep"], renamed: ["/f /new/deep/f"] });
  });
});

describe("a verified transfer moves", () => {
  test.each([
    ["across places", ["/f", "box:/f"], "/f /f move one"],
    ["a folder onto a folder: its contents go inside", ["box:/d", "box:/e"], "/d /e move one"],
    ["what filters choose", ["box:/d", "box:/new", "--exclude", "x"], "/d /new move one"],
    ["what a policy lets pass", ["box:/f", "box:/g", "--overwrite", "if-newer"], "/f /g move one"],
    ["several across places", ["/f", "/g", "box:/d"], "/f /g /d move several"],
  ])("%s", async (_, words, transferred) => {
    expect(await move(words)).toMatchObject({ code: 0, renamed: [], transferred: [transferred] });
  });

  test("across file systems of one place", async () => {
    const run = await move(["box:/f", "box:/d"], ["cross_device"]);
    expect(run).toMatchObject({ code: 0, renamed: [], transferred: ["/f /d move one"] });
  });
});

test.each([
  ["onto itself", ["box:/f", "box:/f"]],
  ["a folder onto itself", ["box:/d", "box:/d/"]],
  ["into the folder that it is in", ["box:/d/x", "box:/d"]],
  ["into itself", ["box:/d", "box:/d/sub/d"]],
])("%s is refused", async (_, words) => {
  const run = await move([...words, "--json"]);
  expect(JSON.parse(run.stderr).error.code).toBe("same_file");
  expect(run).toMatchObject({ code: 1, renamed: [], transferred: [] });
});
