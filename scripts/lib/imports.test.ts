import { expect, test } from "vitest";
import { cycles, importGraph, roomViolations, specifiers } from "./imports.mjs";

const graphOf = (files: Record<string, string>) => importGraph(new Map(Object.entries(files)));
const rooms = { model: [], run: ["model", "native/types\\.ts"], "cli/(?!main\\.ts)": ["model"] };

test("every way to import is seen", () => {
  const source = `
    import type { A } from "./a.ts";
    export * from "./b.ts";
    export { c } from "./c.ts";
    type D = import("./d.ts").D;
    async function f() { await using x = y(); return import("./e.ts"); }
    // import "./not.ts"
  `;
  expect(specifiers("x.ts", source).sort()).toEqual(["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts"]);
});

test("a room's imports are held to its list, a test's are not", () => {
  const { graph } = graphOf({
    "src/model/a.ts": "export const a = 1;",
    "src/native/types.ts": "",
    "src/native/addon.ts": "",
    "src/run/ok.ts": 'import "../model/a.ts"; import "../native/types.ts"; import "./bad.ts";',
    "src/run/bad.ts": 'import "../native/addon.ts"; import "./ok.test.ts";',
    "src/run/ok.test.ts": 'import "../native/addon.ts";',
  });
  expect(roomViolations(graph, { ...rooms, native: [] })).toEqual([
    "src/run/bad.ts: room run may not import src/native/addon.ts",
    "src/run/bad.ts: imports the test src/run/ok.test.ts",
  ]);
});

test("a room's name is not a prefix, and a file outside every room is told", () => {
  const { graph } = graphOf({ "src/models/a.ts": "", "src/cli/main.ts": "" });
  expect(roomViolations(graph, rooms)).toHaveLength(2);
});

test("cycles are found, through types too", () => {
  const { graph } = graphOf({
    "src/a.ts": 'import type { B } from "./b.ts";',
    "src/b.ts": 'import "./c.ts";',
    "src/c.ts": 'import "./a.ts";',
    "src/d.ts": 'import "./a.ts";',
  });
  expect(cycles(graph)).toEqual([["src/a.ts", "src/b.ts", "src/c.ts", "src/a.ts"]]);
});

test("an import of nothing is a problem", () => {
  expect(graphOf({ "src/a.ts": 'import "./gone.ts";' }).problems).toEqual([
    "src/a.ts: imports src/gone.ts, which is not there",
  ]);
});
