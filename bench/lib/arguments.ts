import { parseArgs } from "node:util";
import { CHECKPOINT_ROWS } from "../checkpoint/rows.ts";
import { FAIR_ROWS } from "../fair/rows.ts";
import type { Peer } from "../peer.ts";
import type { Hosts } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { ENDPOINT_ROWS } from "../scenarios/endpoints.ts";
import { WAN_ROWS } from "../wan/rows.ts";
import type { Size } from "../work.ts";
import type { Host } from "./side.ts";

export interface Arguments extends Size {
  readonly scenarios: readonly Scenario[];
  readonly rounds: number;
  readonly hosts: Hosts;
  readonly json: string | undefined;
  /** Files of `--json`: what the goals are judged by, together with what is run now. */
  readonly read: readonly string[];
  /** The goals are the last table. */
  readonly goals: boolean;
  /** Rows of wan, fair and checkpoint; undefined: all. */
  readonly only: readonly string[] | undefined;
  readonly timeoutSeconds: number | undefined;
  readonly rateMbitPerSec: number | undefined;
  /** A folder. */
  readonly svg: string | undefined;
  /** Those named, else the scenario's own. */
  peersOf(scenario: Scenario): readonly Peer[];
}

export interface Known {
  readonly peers: readonly Peer[];
  readonly scenarios: readonly Scenario[];
}

/** Those that the goals speak of. */
const ALL = ["lan", "small", "cpu", "many", "wan", "fair"];

const OPTIONS = {
  quick: { type: "boolean", default: false },
  full: { type: "boolean", default: false },
  peers: { type: "string" },
  runs: { type: "string" },
  json: { type: "string" },
  read: { type: "string" },
  svg: { type: "string" },
  only: { type: "string" },
  timeout: { type: "string" },
  rate: { type: "string" },
  from: { type: "string", default: "127.0.0.1" },
  to: { type: "string", default: "127.0.0.1" },
  help: { type: "boolean", short: "h", default: false },
} as const;

export function parse(args: readonly string[], known: Known): Arguments | "help" {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (values.help) return "help";
  const named = positionals.flatMap((name) => (name === "all" ? ALL : [name]));
  const scenarios = named.filter((name) => name !== "goals").map((name) => pick(known.scenarios, name));
  const goals = positionals.includes("all") || positionals.includes("goals");
  if (positionals.length === 0)
    throw new Error(`name a scenario: ${names(known.scenarios)} (--help says more)`);
  const rounds = Number(values.runs ?? (values.quick ? 2 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--runs: a whole number above 0");
  if (values.quick && values.full) throw new Error("--quick and --full exclude each other");
  if (goals && scenarios.length === 0 && values.read === undefined)
    throw new Error("goals: name scenarios beside it, or with --read what --json wrote");
  if (goals && values.quick) throw new Error("--quick: the goals are of the usual sizes");
  const peers = values.peers?.split(",").flatMap((name) => group(known.peers, name));
  return {
    scenarios,
    rounds,
    quick: values.quick,
    full: values.full,
    hosts: { from: host("--from", values.from), to: host("--to", values.to) },
    only: values.only?.split(","),
    timeoutSeconds: positive("--timeout", values.timeout),
    rateMbitPerSec: positive("--rate", values.rate),
    json: values.json,
    read: values.read?.split(",") ?? [],
    goals,
    svg: values.svg,
    peersOf: (scenario) => peers ?? scenario.peers.flatMap((name) => group(known.peers, name)),
  };
}

function positive(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${flag}: a number above 0`);
}

export function usage({ scenarios, peers }: Known): string {
  return `npm run bench -- SCENARIO… [options]

SCENARIO      ${names(scenarios)};
              all: ${ALL.join(", ")}, and then goals;
              goals: what Packetboat is meant to reach, beside what was measured
--quick       smaller work, 2 runs
--full        larger work where a scenario has it (many: 1,000,000 files)
--runs N      counted runs of each peer; default 5; one more goes before (not in wan: each begins anew); fair: 1
--peers LIST  ${names(peers)};
              globus: all of its variants
--only ROWS   of wan: ${names(WAN_ROWS)};
              of fair: ${names(FAIR_ROWS)};
              of checkpoint: ${names(CHECKPOINT_ROWS)};
              of endpoints: ${names(ENDPOINT_ROWS)}
--timeout S   wan, endpoints: when a run is stopped; default 90 s and 180 s, --quick 30 s and 60 s
--rate MBIT   of the emulated link; default 1000 (wan), 200 (fair), 500 (endpoints)
--json FILE   everything measured
--read FILES  goals: from what --json wrote before, too; of two figures the later one counts
--svg DIR     a chart for each scenario
--from HOST   where the data is, as ADDRESS or NAMESPACE=ADDRESS (ip netns); default 127.0.0.1
--to HOST     where it goes

wan and fair make their own networks (root, iproute2, iperf3; bench/netlab/README.md). TCP peers of wan run with BBR and with CUBIC.

What is not installed is shown as SKIPPED; bench/install-peers.sh installs it (Debian, Ubuntu).
`;
}

function names(list: readonly { readonly name: string }[]): string {
  return list.map(({ name }) => name).join(", ");
}

function pick(scenarios: readonly Scenario[], name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`no scenario "${name}"; there are: ${names(scenarios)}`);
  return found;
}

/** The peer of that name, else all whose names go on with a hyphen. */
function group(peers: readonly Peer[], name: string): Peer[] {
  const exact = peers.filter((peer) => peer.name === name);
  const found = exact.length > 0 ? exact : peers.filter((peer) => peer.name.startsWith(`${name}-`));
  if (found.length === 0) throw new Error(`--peers: no peer "${name}"; there are: ${names(peers)}`);
  return found;
}

function host(flag: string, text: string): Host {
  const [first = "", address, ...rest] = text.split("=");
  if (rest.length > 0 || first === "" || address === "")
    throw new Error(`${flag}: ADDRESS or NAMESPACE=ADDRESS`);
  return address === undefined ? { address: first } : { namespace: first, address };
}
