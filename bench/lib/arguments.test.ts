import { expect, test } from "vitest";
import { type Arguments, parse, usage } from "./arguments.ts";

const peer = (name: string) => ({
  name,
  title: name,
  role: "peer" as const,
  sealed: false,
  kinds: [],
  whyNot: () => undefined,
  open: async () => ({ send: async () => {} }),
});
const scenario = {
  name: "lan",
  peers: ["pb", "globus"],
  chart: "rate" as const,
  endurance: false,
  spaceBytes: () => 0,
  prepare: () => Promise.reject(new Error("not prepared here")),
};
const known = {
  peers: ["pb", "pb-tcp", "globus-1", "globus-4"].map(peer),
  scenarios: [scenario],
};

function parsed(...args: string[]): Arguments {
  const result = parse(args, known);
  if (result === "help") throw new Error("help was not asked for");
  return result;
}
const peersOf = (...args: string[]) =>
  parsed("lan", ...args)
    .peersOf(scenario)
    .map(({ name }) => name);

test("a name is that peer, a first part of names all of them", () => {
  expect(peersOf()).toEqual(["pb", "globus-1", "globus-4"]);
  expect(peersOf("--peers", "globus-4,pb")).toEqual(["globus-4", "pb"]);
});

test("hosts may be namespaces", () => {
  expect(parsed("lan", "--from", "a=10.0.0.1").hosts).toEqual({
    from: { namespace: "a", address: "10.0.0.1" },
    to: { address: "127.0.0.1" },
  });
});

test("runs: fewer when quick", () => {
  expect([
    parsed("lan").rounds,
    parsed("lan", "--quick").rounds,
    parsed("lan", "--runs", "7").rounds,
  ]).toEqual([5, 2, 7]);
});

test("what is wrong is named, with what there is", () => {
  expect(() => parse([], known)).toThrow("name a scenario: lan");
  expect(() => parse(["wan"], known)).toThrow('no scenario "wan"; there are: lan');
  expect(() => parsed("lan", "--peers", "glob").peersOf(scenario)).toThrow('no peer "glob"');
  expect(() => parse(["lan", "--runs", "0"], known)).toThrow("--runs");
  expect(() => parse(["lan", "--from", "a="], known)).toThrow("--from");
  expect(() => parse(["lan", "--quick", "--full"], known)).toThrow("exclude");
});

test("help names every peer", () => {
  expect(parse(["--help"], known)).toBe("help");
  expect(usage(known)).toContain("pb, pb-tcp, globus-1, globus-4");
});

test("goals are judged after scenarios, or by what is read; never by quick runs", () => {
  expect(parsed("lan")).toMatchObject({ goals: false, read: [] });
  expect(parsed("lan", "goals")).toMatchObject({ goals: true, scenarios: [scenario] });
  expect(parsed("goals", "--read", "a.json,b.json")).toMatchObject({
    scenarios: [],
    read: ["a.json", "b.json"],
  });
  expect(() => parse(["goals"], known)).toThrow("--read");
  expect(() => parse(["lan", "goals", "--quick"], known)).toThrow("--quick");
  const six = ["lan", "small", "cpu", "many", "wan", "fair"].map((name) => ({ ...scenario, name }));
  expect(parse(["all"], { ...known, scenarios: six })).toMatchObject({ goals: true, scenarios: six });
});
