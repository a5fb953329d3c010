import { expect, test } from "vitest";
import { FAIR_ROWS, fairTopology, pickFairRows } from "../fair/rows.ts";
import { resolveTopology } from "../netlab/topology.ts";
import { PEERS } from "../peers/all.ts";
import { entrants } from "./entrants.ts";
import { pickRows, topologyOf, WAN_ROWS } from "./rows.ts";

test("every row is a topology, with the queue it asks for and else 1 BDP", () => {
  const queueOf = (name: string) => {
    const [row] = pickRows([name]);
    return row && resolveTopology(topologyOf(row, 1000)).links[0]?.forward.queueBytes;
  };
  for (const { name } of WAN_ROWS) expect(queueOf(name)).toBeGreaterThan(0);
  expect([queueOf("clean"), queueOf("shallow"), queueOf("deep")]).toEqual([12_500_000, 125_000, 5_000_000]);
  for (const { queueBdp } of FAIR_ROWS) {
    expect(resolveTopology(fairTopology(queueBdp, { rateMbitPerSec: 1, delayMs: 1 })).links).toHaveLength(5);
  }
});

test("a row that is not there is named, with those that are", () => {
  expect(() => pickRows(["clena"])).toThrow('no "clena"; there are: clean');
  expect(() => pickFairRows(["x"])).toThrow("cubic-0.5");
});

test("what goes by TCP runs by both controllers, UDP once, cp not at all", () => {
  const names = entrants(PEERS).map(({ peer }) => peer.name);
  expect(names).toEqual(expect.arrayContaining(["pb-udp", "rsync-bbr", "rsync-cubic", "pb-tcp-bbr"]));
  expect(names).not.toContain("pb-udp-bbr");
  expect(names.some((name) => name.startsWith("cp"))).toBe(false);
});
