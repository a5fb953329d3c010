/** `npm run bench -- SCENARIO… [--quick] [--peers LIST] [--rounds N] [--json FILE]` */
import { mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { scratch } from "../test/e2e/lib/scratch.ts";
import { measure } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { packetboat } from "./peers/packetboat.ts";
import { scp } from "./peers/scp.ts";
import { makeReport, type Report, table } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { lan } from "./scenarios/lan.ts";
import { small } from "./scenarios/small.ts";

const PEERS: readonly Peer[] = [...packetboat, scp];
const SCENARIOS: readonly Scenario[] = [lan, small];

interface Arguments {
  readonly scenarios: readonly Scenario[];
  readonly peers: readonly Peer[] | undefined;
  readonly quick: boolean;
  readonly rounds: number;
  readonly json: string | undefined;
}

function parse(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      peers: { type: "string" },
      rounds: { type: "string" },
      json: { type: "string" },
    },
  });
  if (positionals.length === 0) {
    throw new Error(`name a scenario: ${SCENARIOS.map(({ name }) => name).join(", ")}`);
  }
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds: a whole number above 0");
  return {
    scenarios: positionals.map((name) => pick(SCENARIOS, name, "scenario")),
    peers: values.peers?.split(",").map((name) => pick(PEERS, name, "peer")),
    quick: values.quick,
    rounds,
    json: values.json,
  };
}

function pick<T extends { readonly name: string }>(list: readonly T[], name: string, what: string): T {
  const found = list.find((item) => item.name === name);
  if (found === undefined) {
    throw new Error(`no ${what} "${name}"; there are: ${list.map((item) => item.name).join(", ")}`);
  }
  return found;
}

/** tmpfs where it has room, so that the disk is not what is measured. */
function roomyFolder(bytes: number): string {
  for (const folder of ["/dev/shm", tmpdir()]) {
    try {
      const { bavail, bsize } = statfsSync(folder);
      if (bavail * bsize > bytes * 1.2) return folder;
    } catch {
      // Not there: the next one.
    }
  }
  throw new Error(`no temporary folder has ${bytes} bytes free`);
}

async function play(scenario: Scenario, options: Arguments): Promise<Report> {
  const base = roomyFolder(scenario.spaceBytes(options.quick));
  await using folder = scratch(base);
  mkdirSync(folder.at("source"));
  const work = await scenario.prepare(folder.at("source"), options.quick);
  const peers = options.peers ?? scenario.peers.map((name) => pick(PEERS, name, "peer"));
  const say = (line: string) => process.stderr.write(`${scenario.name}: ${line}\n`);
  const runs = await measure(peers, work, { rounds: options.rounds, scratch: folder.at("peers"), say });
  return makeReport(scenario, work, { folder: base, runs });
}

async function main(): Promise<void> {
  const options = parse();
  const reports: Report[] = [];
  for (const scenario of options.scenarios) {
    const report = await play(scenario, options);
    process.stdout.write(`${table(report)}\n`);
    reports.push(report);
  }
  if (options.json !== undefined) writeFileSync(resolve(options.json), JSON.stringify(reports, null, 2));
}

await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
