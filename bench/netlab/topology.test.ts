import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readTopology, resolveTopology, type TopologyInput } from "./topology.ts";

const resolve = (input: TopologyInput) => resolveTopology(input);

test("a direction takes what the link says, and its own word over it", () => {
  const { links, hosts } = resolve({
    links: [{ between: ["a", "b"], rateMbitPerSec: 20, delayMs: 50, back: { delayMs: 10, lossPercent: 2 } }],
  });
  expect(hosts).toEqual(["a", "b"]);
  expect(links[0]?.forward).toMatchObject({ rateBitsPerSec: 20e6, delayMs: 50, lossPercent: 0 });
  expect(links[0]?.back).toMatchObject({ rateBitsPerSec: 20e6, delayMs: 10, lossPercent: 2 });
});

test("queues: bytes, BDPs of the round trip, or one BDP but no less than 64 KiB", () => {
  const between: [string, string] = ["a", "b"];
  const link = { between, rateMbitPerSec: 1000, delayMs: 50 };
  const queue = (more: object) => resolve({ links: [{ ...link, ...more }] }).links[0]?.forward.queueBytes;
  expect(queue({})).toBe(12_500_000);
  expect(queue({ queueBdp: 0.1 })).toBe(1_250_000);
  expect(queue({ queueBytes: 5000 })).toBe(5000);
  expect(queue({ delayMs: 0 })).toBe(65_536);
});

test("several links of a pair have names of their own", () => {
  const between: [string, string] = ["a", "b"];
  const { links } = resolve({ links: [{ between }, { between }, { between, name: "spare" }] });
  expect(links.map(({ name }) => name)).toEqual(["a-b", "a-b-2", "spare"]);
});

test.each([
  [{ links: [{ between: ["a", "b"], delay: 5 }] }, "links.0"],
  [{ links: [{ between: ["a", "b"], lossPercent: 120 }] }, "links.0.lossPercent"],
  [{ links: [{ between: ["a", "B"] }] }, "links.0.between.1"],
  [{ links: [{ between: ["a", "a"] }] }, "a cannot be linked to itself"],
  [{ links: [{ between: ["a", "b"], delayMs: 1, jitterMs: 2 }] }, "jitterMs"],
  [{ sysctls: { "kernel.panic": "1" } }, "sysctls"],
])("what is wrong is named: %j", (input, name) => {
  expect(() => resolveTopology(input)).toThrow(name);
});

test("the topologies of this folder are read", () => {
  const folder = fileURLToPath(new URL("topologies/", import.meta.url));
  for (const file of readdirSync(folder)) expect(readTopology(folder + file).links.length).toBeGreaterThan(0);
});
