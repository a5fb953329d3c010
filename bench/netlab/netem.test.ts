import { expect, test } from "vitest";
import { isPlain, netemArgs, netemCan } from "./netem.ts";
import { resolveTopology, type TopologyInput } from "./topology.ts";

type Input = Omit<NonNullable<TopologyInput["links"]>[number], "between">;

function link(input: Input) {
  const [made] = resolveTopology({ links: [{ between: ["a", "b"], ...input }] }).links;
  if (made === undefined) throw new Error("no link");
  return made;
}

const words = (input: Input) => netemArgs(link(input).forward, { mtu: 1500, seed: 3 }).join(" ");

test("what netem is told", () => {
  expect(words({ rateMbitPerSec: 12, delayMs: 50 })).toBe(
    // Queue and what is on its way: 150,000 + 75,000 bytes.
    "netem limit 150 delay 50ms rate 12000000bit seed 3",
  );
  expect(words({ delayMs: 5, jitterMs: 2, jitterReorders: true, lossPercent: 1 })).toBe(
    "netem limit 1000000 delay 5ms 2ms loss random 1% seed 3",
  );
  expect(words({ corruptPercent: 0.5, duplicatePercent: 2 })).toBe(
    "netem limit 1000000 corrupt 0.5% duplicate 2% seed 3",
  );
  expect(words({ lossPercent: 50, meanBurstPackets: 4 })).toBe(
    "netem limit 1000000 loss gemodel 25% 25% 100% 0% seed 3",
  );
});

test("what netem cannot do, and what needs nothing at all", () => {
  expect(netemCan(link({ delayMs: 5, lossPercent: 1 }))).toBe(true);
  expect(netemCan(link({ delayMs: 5, back: { jitterMs: 1 } }))).toBe(false);
  expect(netemCan(link({ reorderPercent: 1 }))).toBe(false);
  expect(netemCan(link({ dropAboveMtu: 1300 }))).toBe(false);
  expect(isPlain(link({}))).toBe(true);
  expect(isPlain(link({ back: { delayMs: 1 } }))).toBe(false);
});
