import { expect, test } from "vitest";
import { type FairReport, fairChart, fairTable } from "./report.ts";
import { pickFairRows } from "./rows.ts";

const [cubic, background] = pickFairRows(["cubic-1", "background-1"]);
if (cubic === undefined || background === undefined) throw new Error("no such rows");
const sharing = { oneBitsPerSec: 150e6, otherBitsPerSec: 50e6, jain: 0.8 };
const report: FairReport = {
  scenario: "fair",
  rateMbitPerSec: 200,
  roundTripMs: 40,
  seconds: 20,
  results: [
    { row: cubic, sharing, queueMs: 7, void: "the emulator was 50 ms late" },
    { row: background, skipped: "no --background" },
    {
      row: background,
      sharing,
      yielding: { yieldedAfterSeconds: 3, othersShare: 0.93, backAfterSeconds: undefined },
    },
    { row: cubic, failed: "iperf3: no\nmore" },
  ],
};

test("the table says shares, yielding, and why a row has none", () => {
  const text = fairTable(report);
  expect(text).toMatch(/^ours beside CUBIC, queue 1 BDP +150\.0 +50\.0 +3\.00 +0\.800 +100\.0 % +7\.0$/m);
  expect(text).toContain("  VOID: the emulator was 50 ms late");
  expect(text).toContain("SKIPPED: no --background");
  expect(text).toContain(
    "gave nine tenths after 3 s; CUBIC had 93 % once settled; did not take the link back",
  );
  expect(text).toMatch(/FAILED: iperf3: no$/m);
});

test("the chart draws both parts of the link, to scale", () => {
  const widths = [...fairChart(report).matchAll(/height="20" fill|width="([\d.]+)" height="20"/g)].map(
    ([, width]) => Number(width),
  );
  expect(widths).toEqual([315, 105, 315, 105]);
});
