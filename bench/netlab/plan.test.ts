import { expect, test } from "vitest";
import { interfacesOf, routesOf } from "./plan.ts";
import { resolveTopology } from "./topology.ts";

const chain = (...pairs: [string, string][]) =>
  interfacesOf(resolveTopology({ links: pairs.map((between) => ({ between })) }));

test("every end has its own address and hardware address, both ends of a link share a subnet", () => {
  const ends = chain(...Array.from({ length: 300 }, (): [string, string] => ["a", "b"]));
  expect(new Set(ends.flat().map(({ address }) => address)).size).toBe(600);
  expect(new Set(ends.flat().map(({ mac }) => mac)).size).toBe(600);
  expect(ends[0]?.map(({ address }) => address)).toEqual(["10.78.0.1", "10.78.0.2"]);
  expect(ends[64]?.map(({ address }) => address)).toEqual(["10.78.1.1", "10.78.1.2"]);
  expect(ends[299]?.[0].mac).toBe("02:4c:ab:01:2b:01");
  expect(ends[7]?.[0].peer).toMatchObject({ host: "b", address: ends[7]?.[1].address });
});

test("neighbours need no routes", () => {
  expect(routesOf(chain(["a", "b"], ["a", "b"]))).toEqual([]);
});

test("hosts that are farther away are reached by the shortest way", () => {
  const ends = chain(["a", "l"], ["b", "l"], ["l", "r"], ["r", "c"]);
  const of = (host: string) => routesOf(ends).filter((route) => route.host === host);
  expect(of("a")).toEqual([
    { host: "a", subnet: "10.78.0.4/30", via: "10.78.0.2" },
    { host: "a", subnet: "10.78.0.8/30", via: "10.78.0.2" },
    { host: "a", subnet: "10.78.0.12/30", via: "10.78.0.2" },
  ]);
  expect(of("r")).toEqual([
    { host: "r", subnet: "10.78.0.0/30", via: "10.78.0.9" },
    { host: "r", subnet: "10.78.0.4/30", via: "10.78.0.9" },
  ]);
});

test("a ring is walked the short way round, and an island has no routes", () => {
  const ends = chain(["a", "b"], ["b", "c"], ["c", "d"], ["d", "a"], ["x", "y"]);
  const routes = routesOf(ends);
  expect(routes.filter(({ host }) => host === "x")).toEqual([]);
  expect(routes.filter(({ host }) => host === "a").map(({ subnet }) => subnet)).toEqual([
    "10.78.0.4/30",
    "10.78.0.8/30",
  ]);
  expect(routes.find(({ host, subnet }) => host === "a" && subnet === "10.78.0.8/30")?.via).toBe(
    "10.78.0.13",
  );
});
