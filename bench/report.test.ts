import { expect, test } from "vitest";
import { chart } from "./chart.ts";
import type { PeerRuns } from "./measure.ts";
import { makeReport, type Report, type Row } from "./report.ts";
import { table } from "./table.ts";

const GIB = 2 ** 30;
const work = { title: "1 < 2 & 3", path: "/x", kind: "file", bytes: GIB, files: 1, unit: "Gbit/s" } as const;
const host = { address: "127.0.0.1" };

interface Setup extends Partial<Pick<Row, "role" | "sealed">> {
  readonly seconds: readonly number[];
  readonly cpu?: readonly [from: number, to: number];
}

function runsOf(name: string, { role = "peer", sealed = false, seconds, cpu = [1, 2] }: Setup): PeerRuns {
  const peer = { name, title: name, role, sealed, kinds: [], whyNot: () => undefined, open: () => never() };
  const runs = seconds.map((value) => ({ seconds: value, fromCpuSeconds: cpu[0], toCpuSeconds: cpu[1] }));
  return seconds.length > 0 ? { peer, runs } : { peer, runs, skipped: "rsync is not installed" };
}

function never(): never {
  throw new Error("nothing is opened here");
}

function reportOf(runs: readonly PeerRuns[], chartOf: Report["chart"] = "rate"): Report {
  return makeReport(
    { name: "lan", chart: chartOf },
    { work, hosts: { from: host, to: host }, folder: "/f", runs },
  );
}

const four = reportOf([
  runsOf("pb", { role: "ours", sealed: true, seconds: [2, 1, 4], cpu: [1.5, 0.5] }),
  runsOf("globus", { seconds: [4] }),
  runsOf("scp", { sealed: true, seconds: [8], cpu: [4, 4] }),
  runsOf("rsync", { seconds: [] }),
  runsOf("cp", { role: "baseline", seconds: [1], cpu: [0.5, 0] }),
]);
const line = (text: string, start: string) => text.split("\n").find((one) => one.startsWith(start));

test("figures: ratios to the best peer, which is never ours nor cp, and to cp", () => {
  const [pb, globus, scp, rsync, cp] = four.rows;
  expect(pb?.figures).toMatchObject({
    seconds: { median: 2, min: 1, max: 4 },
    toBestPeer: 2,
    toCp: 0.5,
    fromCpuPerGib: 1.5,
    toCpuPerGib: 0.5,
    cpuPerGib: 2,
  });
  expect(pb?.figures?.rate).toBeCloseTo((GIB * 8) / 2e9);
  expect(globus?.figures?.toBestPeer).toBe(1);
  expect(scp?.figures?.toBestPeer).toBe(0.5);
  expect(rsync).toMatchObject({ skipped: "rsync is not installed", runs: [] });
  expect(rsync).not.toHaveProperty("figures");
  expect(cp?.figures?.toCp).toBe(1);
});

test("what leaves nothing behind is compared with nobody", () => {
  const gauge = runsOf("pb-discard", { role: "gauge", seconds: [1] });
  const rows = reportOf([
    gauge,
    runsOf("scp", { seconds: [2] }),
    runsOf("cp", { role: "baseline", seconds: [3] }),
  ]).rows;
  expect(rows[0]?.figures?.rate).toBeGreaterThan(0);
  expect(rows[0]?.figures).not.toHaveProperty("toBestPeer");
  expect(rows[0]?.figures).not.toHaveProperty("toCp");
  expect(rows[1]?.figures?.toBestPeer).toBe(1);
});

test("without a peer or cp there is nothing to compare with", () => {
  const [row] = reportOf([runsOf("pb", { role: "ours", seconds: [1] })]).rows;
  expect(row?.figures).not.toHaveProperty("toBestPeer");
  expect(row?.figures).not.toHaveProperty("toCp");
});

test("a report holds no path of this machine's source", () => {
  expect(JSON.stringify(four)).not.toContain('"path"');
});

test("the table has a line for each, also for those that were skipped", () => {
  const text = table(four);
  expect(line(text, "pb")).toMatch(/2\.000 +1\.000 +4\.000 +4\.29 +2\.00× +50 % +2\.00 +1\.50 +0\.50$/);
  expect(line(text, "rsync")).toMatch(/^rsync +SKIPPED: rsync is not installed$/);
  expect(text).toContain("pb needs 25 % of what scp needs");
  expect(text).not.toContain("MiB");
});

test("a peer that failed is in the table with its first line, and nothing is compared with it", () => {
  const broken = { ...runsOf("globus", { seconds: [] }), failed: "exit 1\nlong story" };
  const report = reportOf([runsOf("pb", { role: "ours", seconds: [1] }), broken]);
  expect(line(table(report), "globus")).toMatch(/^globus +FAILED: exit 1$/);
  expect(report.rows[0]?.figures).not.toHaveProperty("toBestPeer");
});

test("memory and the last tenth have columns where they were measured", () => {
  const watched = runsOf("pb", { role: "ours", seconds: [1] });
  const runs = watched.runs.map((run) => ({ ...run, lastOverFirst: 0.9 }));
  const text = table(reportOf([{ ...watched, runs, fromPeakBytes: 100 << 20, toPeakBytes: 50 << 20 }]));
  expect(line(text, "pb")).toMatch(/ 100 +50 +0\.90×$/);
});

test("the chart draws what was measured, to scale, and escapes what it writes", () => {
  const svg = chart(four);
  expect(svg).toContain("1 &lt; 2 &amp; 3");
  expect(svg).not.toContain(">rsync<");
  const widths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  );
  expect(widths).toEqual([210, 105, 52.5, 420]);
});

test("the chart of CPU time shows CPU time", () => {
  const svg = chart(
    reportOf([runsOf("pb", { seconds: [1], cpu: [1, 1] }), runsOf("scp", { seconds: [9] })], "cpu"),
  );
  expect(svg).toContain("CPU seconds per GiB, less is better");
  expect(svg).toMatch(/>2\.00<[\s\S]*>3\.00</);
});

const link = { title: "l", rateBitsPerSec: 1e9, payloadBitsPerSec: GIB, given: "990 Mbit/s" };
const use = {
  bytes: 200,
  backBytes: 1,
  queueMs: 7,
  maxQueueBytes: 0,
  droppedByQueue: 0,
  lost: 0,
  maxLateMs: 3,
};
const over = (all: PeerRuns, late: readonly boolean[]): PeerRuns => ({
  ...all,
  runs: all.runs.map((run, at) => ({ ...run, link: late[at] ? { ...use, void: "late" } : use })),
});
const wanReport = (runs: readonly PeerRuns[]) =>
  makeReport(
    { name: "wan-x", chart: "rate" },
    { work, hosts: { from: host, to: host }, folder: "/f", runs, link },
  );

test("of a link: its share, and void runs are in no figure unless there are no others", () => {
  const some = over(runsOf("pb", { role: "ours", seconds: [10, 90, 12] }), [false, true, false]);
  const all = over(runsOf("scp", { seconds: [20] }), [true]);
  const report = wanReport([some, all]);
  expect(report.rows[0]?.figures).toMatchObject({ seconds: { median: 11, max: 12 }, toBestPeer: 20 / 11 });
  expect(report.rows[0]?.figures?.link).toMatchObject({ share: 8 / 11, backShare: 0.005, voids: 1 });
  expect(line(table(report), "pb")).toMatch(/72\.7 % .* 7\.0 +0\.50 % +3\.0 +1\/3$/);
  expect(line(table(report), "scp")).toMatch(/20\.000 .* 1\/1$/);
});

test("a run that was stopped says when, and how much had come", () => {
  const { skipped: _, ...none } = runsOf("scp", { seconds: [] });
  const report = wanReport([{ ...none, stopped: [{ seconds: 30, bytes: 5 << 20 }] }]);
  expect(line(table(report), "scp")).toBe("scp  stopped at 30 s, 5 MiB had come through the link");
  expect(report.rows[0]).not.toHaveProperty("figures");
});
