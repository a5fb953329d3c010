import { expect, test } from "vitest";
import type { WayCounters } from "./emulator.ts";
import { resolveTopology } from "./topology.ts";
import { since, whyVoid } from "./verdict.ts";

const [link] = resolveTopology({ links: [{ between: ["a", "b"], delayMs: 50 }] }).links;
const none: WayCounters = {
  packets: 0,
  bytes: 0,
  deliveredPackets: 0,
  deliveredBytes: 0,
  lost: 0,
  droppedByQueue: 0,
  droppedByMtu: 0,
  reordered: 0,
  duplicated: 0,
  corrupted: 0,
  maxQueueBytes: 0,
  queuedUs: 0,
  droppedByRing: 0,
  failedWrites: 0,
  maxLateUs: 0,
  latePackets: 0,
  maxHeldUs: 0,
};
const verdict = (back: Partial<WayCounters>) => {
  if (link === undefined) throw new Error("no link");
  return whyVoid(link, { forward: none, back: { ...none, ...back } });
};

test.each([
  [{ maxLateUs: 12_000, maxHeldUs: 40_000, lost: 5, droppedByQueue: 7 }, undefined],
  [{ maxLateUs: 13_000 }, "13 ms late"],
  [{ maxHeldUs: 60_000 }, "60 ms"],
  [{ droppedByRing: 2 }, "dropped 2"],
  [{ failedWrites: 1 }, "dropped 1"],
])("%j", (counters, why) => {
  if (why === undefined) expect(verdict(counters)).toBeUndefined();
  else expect(verdict(counters)).toContain(why);
});

test("sums are differences, maxima are the later ones", () => {
  const before = { forward: { ...none, packets: 5, maxLateUs: 900 }, back: none };
  const after = { forward: { ...none, packets: 8, maxLateUs: 100 }, back: none };
  expect(since(before, after).forward).toMatchObject({ packets: 3, maxLateUs: 100 });
});
