import { expect, test } from "vitest";
import type { FairReport } from "../fair/report.ts";
import type { PeerRuns } from "../measure.ts";
import { makeReport, type Report } from "../report.ts";
import type { LinkUse } from "../run.ts";
import { Found } from "./found.ts";
import { GOALS } from "./goals.ts";
import { goalsTable, verdictOf } from "./table.ts";

const host = { address: "127.0.0.1" };
const work = { title: "", path: "/x", kind: "file", bytes: 2 ** 30, files: 1, unit: "Gbit/s" } as const;
const PAYLOAD = 964e6;
/** Of a GiB at the payload rate. */
const IDEAL_SECONDS = (work.bytes * 8) / PAYLOAD;

interface Ran {
  readonly seconds: number;
  readonly role?: "ours" | "peer" | "baseline" | "gauge";
  readonly sealed?: boolean;
  readonly link?: Partial<LinkUse>;
  readonly stopped?: boolean;
}

function report(scenario: string, rows: Readonly<Record<string, Ran>>): Report {
  const runs = Object.entries(rows).map(
    ([name, { seconds, role = "peer", sealed = true, link, stopped }]): PeerRuns => {
      const peer = {
        name,
        title: name,
        role,
        sealed,
        kinds: [],
        whyNot: () => undefined,
        open: () => Promise.reject(),
      };
      if (stopped) return { peer, runs: [], stopped: [{ seconds, bytes: 1 }] };
      const use: LinkUse = {
        ...{
          bytes: 1000,
          backBytes: 2,
          queueMs: 1,
          maxQueueBytes: 0,
          droppedByQueue: 0,
          lost: 0,
          maxLateMs: 0,
        },
        ...link,
      };
      const run = {
        seconds,
        fromCpuSeconds: seconds,
        toCpuSeconds: 0,
        ...(link === undefined ? {} : { link: use }),
      };
      return { peer, runs: [run, run, run] };
    },
  );
  const linked = Object.values(rows).some(({ link }) => link !== undefined);
  const link = { title: "", rateBitsPerSec: 1e9, payloadBitsPerSec: PAYLOAD, given: "" };
  return makeReport(
    { name: scenario, chart: "rate" },
    { work, hosts: { from: host, to: host }, folder: "/f", runs, ...(linked ? { link } : {}) },
  );
}

function judge(asked: string, scenario: string, ...outcomes: unknown[]) {
  const goal = GOALS.find((one) => one.scenario === scenario && one.asked.startsWith(asked));
  if (goal === undefined) throw new Error(`no goal ${scenario}: ${asked}`);
  const judged = goal.judge(new Found(JSON.parse(JSON.stringify(outcomes)) as unknown[]));
  return { ...judged, verdict: verdictOf(judged) };
}

const lan = report("lan", {
  pb: { seconds: 2, role: "ours" },
  "pb-clear": { seconds: 1.2, role: "ours", sealed: false },
  "globus-1": { seconds: 2.4 },
  scp: { seconds: 6 },
  cp: { seconds: 1, role: "baseline" },
});

test("rates are compared with the fastest peer, with scp, and with cp's time", () => {
  expect(judge("sealed, over the fastest", "lan", lan)).toEqual({
    got: "1.20×",
    part: 1,
    runs: 3,
    verdict: "met",
  });
  expect(judge("sealed, over scp", "lan", lan)).toMatchObject({
    got: "3.00×",
    part: 0.75,
    verdict: "NOT MET",
  });
  expect(judge("--seal off, time", "lan", lan)).toMatchObject({ got: "1.20×", part: 1.25, verdict: "met" });
});

test("what did not run is not judged, nor what has nobody to be compared with", () => {
  expect(judge("sealed, to nowhere", "lan", lan)).toEqual({ verdict: "not run" });
  expect(
    judge("sealed, over the fastest", "lan", report("lan", { pb: { seconds: 1, role: "ours" } })),
  ).toEqual({
    verdict: "not run",
  });
});

test("of two figures of one peer the later counts, and those of others stay", () => {
  const again = report("lan", { pb: { seconds: 1, role: "ours" } });
  expect(judge("sealed, over the fastest", "lan", lan, again)).toMatchObject({
    got: "2.40×",
    verdict: "met",
  });
});

const ours = (share: number, link: Partial<LinkUse> = {}) => ({
  "pb-udp": { seconds: IDEAL_SECONDS / share, role: "ours", link } as const,
});

test("shares of a link, and a damaged one beside the clean one", () => {
  const clean = report("wan-clean", { ...ours(0.8), "curl-bbr": { seconds: IDEAL_SECONDS / 0.4, link: {} } });
  expect(judge("of the link:", "wan clean", clean)).toMatchObject({ got: "80.0 %", verdict: "NOT MET" });
  expect(judge("over the best peer", "wan clean", clean)).toMatchObject({ got: "2.00×", verdict: "met" });
  const bursty = report("wan-bursty", ours(0.76));
  expect(judge("of the clean", "wan bursty", bursty)).toEqual({ verdict: "not run" });
  expect(judge("of the clean", "wan bursty", bursty, clean)).toMatchObject({ got: "95.0 %", verdict: "met" });
  const back = report("wan-asymmetric", ours(0.8, { bytes: 1000, backBytes: 20 }));
  expect(judge("bytes back", "wan asymmetric", back)).toMatchObject({
    got: "2.00 %",
    part: 0.5,
    verdict: "NOT MET",
  });
});

test("the queue is compared with that of TCP by BBR, not by CUBIC", () => {
  const deep = report("wan-deep", {
    ...ours(0.9, { queueMs: 4 }),
    "curl-bbr": { seconds: 9, link: { queueMs: 8 } },
    "curl-cubic": { seconds: 9, link: { queueMs: 2 } },
  });
  expect(judge("queue over", "wan deep", deep)).toMatchObject({ got: "0.50×", verdict: "met" });
});

test("a run that was stopped has not finished", () => {
  const row = (stopped: boolean) =>
    report("wan-loss-30", { "pb-udp": { seconds: 90, role: "ours", link: {}, stopped } });
  expect(judge("finishes", "wan loss-30", row(true))).toMatchObject({ got: "stopped", verdict: "NOT MET" });
  expect(judge("finishes", "wan loss-30", row(false))).toMatchObject({ got: "90.0 s", verdict: "met" });
  expect(judge("finishes", "wan loss-30")).toEqual({ verdict: "not run" });
});

test("the cheapest of ours that seals, beside the cheapest peer that does", () => {
  const cpu = report("cpu", {
    "pb-udp": { seconds: 3, role: "ours" },
    "pb-clear": { seconds: 1, role: "ours", sealed: false },
    rsync: { seconds: 1, sealed: false },
    scp: { seconds: 4 },
  });
  expect(judge("CPU", "cpu", cpu)).toMatchObject({ got: "0.75×", verdict: "met" });
});

test("shares of a bottleneck: too much is as far from the goal as too little", () => {
  const fair = (one: number, other: number, jain = 1): FairReport => ({
    ...{ scenario: "fair", rateMbitPerSec: 200, roundTripMs: 40, seconds: 60 },
    results: ["cubic-1", "two-1"].map((name) => ({
      row: { name, title: name, queueBdp: 1, beside: "cubic" },
      sharing: { oneBitsPerSec: one, otherBitsPerSec: other, jain },
    })),
  });
  expect(judge("ours over", "fair cubic-1", fair(100, 100))).toMatchObject({
    got: "1.00×",
    part: 2,
    verdict: "met",
  });
  expect(judge("ours over", "fair cubic-1", fair(40, 160))).toMatchObject({ part: 0.5, verdict: "NOT MET" });
  expect(judge("ours over", "fair cubic-1", fair(160, 40))).toMatchObject({ part: 0.5, verdict: "NOT MET" });
  expect(judge("Jain", "fair two-1", fair(1, 1, 0.9))).toMatchObject({ got: "0.900", verdict: "NOT MET" });
});

test("a run that is void says nothing", () => {
  const fair = (jain: number, why?: string): unknown => ({
    scenario: "fair",
    results: [{ row: { name: "two-1" }, sharing: { oneBitsPerSec: 1, otherBitsPerSec: 1, jain }, void: why }],
  });
  expect(judge("Jain", "fair two-1", fair(1, "late"))).toEqual({ verdict: "not run" });
  expect(judge("Jain", "fair two-1", fair(0.5), fair(1, "late"))).toMatchObject({ got: "0.500" });
});

test("--background has to give way and to come back, each in its time", () => {
  const fair = (yielding: object): unknown => ({
    scenario: "fair",
    results: [{ row: { name: "background-1" }, yielding: { othersShare: 1, ...yielding } }],
  });
  const came = fair({ yieldedAfterSeconds: 2, backAfterSeconds: 30 });
  expect(judge("--background", "fair background-1", came)).toMatchObject({ got: "2 s", verdict: "met" });
  expect(judge("and has", "fair background-1", came)).toMatchObject({ got: "30 s", verdict: "NOT MET" });
  expect(judge("--background", "fair background-1", fair({}))).toMatchObject({ verdict: "NOT MET" });
});

test("the table names every goal and counts", () => {
  const text = goalsTable(new Found([lan]));
  expect(text.split("\n").filter((line) => line.endsWith("not run")).length).toBeGreaterThan(
    GOALS.length - 8,
  );
  expect(text).toMatch(/lan +sealed, over scp: ≥ 4.00× +3.00× +0.75 +3 +NOT MET/);
  expect(text).toMatch(/\n\d+ met, \d+ not met, \d+ not run$/);
});

test("what is no table of the bench is passed over", () => {
  expect(goalsTable(new Found([null, 3, {}, { rows: 1 }, { scenario: "checkpoint", rows: [] }]))).toContain(
    "0 met, 0 not met",
  );
});
