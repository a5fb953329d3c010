import { expect, test } from "vitest";
import { checkpointChart, checkpointTable, figuresOf, type Pair } from "./report.ts";
import { CHECKPOINT_ROWS, pickCheckpointRows } from "./rows.ts";

const run = (seconds: number) => ({ seconds, fromCpuSeconds: seconds, toCpuSeconds: 1 });
const pair = (off: number, on: number): Pair => ({ off: run(off), on: run(on) });
const [first, second] = CHECKPOINT_ROWS;

test("the ratio is that of the rates: above 1 it was faster with checkpoints", () => {
  const figures = figuresOf([pair(1, 2), pair(3, 3), pair(4, 2)]);
  expect(figures).toMatchObject({ ratio: 1.5, paired: { median: 1, min: 0.5, max: 2 }, offCpu: 4, onCpu: 3 });
  expect(figuresOf([])).toBeUndefined();
});

test("a table says what was skipped and what failed, a chart has the others", () => {
  if (!first || !second) throw new Error("there are rows");
  const results = [
    { row: first, work: "one file", pairs: [pair(2, 1)] },
    { row: second, pairs: [], skipped: "no disk" },
    { row: second, pairs: [], failed: "it broke\nhere" },
  ];
  const text = checkpointTable(results);
  expect(text).toContain("one file");
  expect(text).toMatch(/tmpfs +2\.000 +1\.000 +2\.000 +2\.000/);
  expect(text).toContain("SKIPPED: no disk");
  expect(text).toMatch(/FAILED: it broke$/m);
  expect(checkpointChart(results).match(/<circle/g)).toHaveLength(1);
});

test("rows are picked by name", () => {
  expect(pickCheckpointRows(undefined)).toBe(CHECKPOINT_ROWS);
  expect(pickCheckpointRows(["small-disk"]).map(({ state }) => state)).toEqual(["disk"]);
  expect(() => pickCheckpointRows(["x"])).toThrow(/lan-memory/);
});
