import { expect, test } from "vitest";
import { figures, makeReport, table } from "./report.ts";

const work = { path: "x", kind: "file", bytes: 1e9, files: 1, unit: "Gbit/s" } as const;

test("medians, also of an even number of runs", () => {
  expect(figures([3, 1, 2], work)).toEqual({ medianSeconds: 2, minSeconds: 1, maxSeconds: 3, rate: 4 });
  expect(figures([4, 1], work).medianSeconds).toBe(2.5);
  expect(figures([2], { ...work, files: 10, unit: "files/s" }).rate).toBe(5);
});

test("the table names what was skipped and compares with the first peer", () => {
  const scenario = {
    name: "lan",
    title: "one file",
    peers: [],
    spaceBytes: () => 0,
    prepare: async () => work,
  };
  const runs = [
    { peer: "pb", title: "ours", seconds: [1] },
    { peer: "scp", title: "theirs", seconds: [3] },
    { peer: "rsync", title: "other", seconds: [], skipped: "not installed" },
  ];
  const text = table(makeReport(scenario, work, { folder: "f", runs }));
  expect(text).toMatch(/ours.*1\.000.*8\.00.*1\.00/);
  expect(text).toMatch(/theirs.*3\.000.*2\.67.*3\.00/);
  expect(text).toMatch(/other.*SKIPPED: not installed/);
});
