/** `npm run bench -- SCENARIO… [options]`; `--help` says which. */
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { scratch } from "../test/e2e/lib/scratch.ts";
import { chart } from "./chart.ts";
import { type Arguments, parse, usage } from "./lib/arguments.ts";
import { killAll } from "./lib/side.ts";
import { measure } from "./measure.ts";
import { PEERS } from "./peers/all.ts";
import { makeReport, type Report } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { cpu, lan } from "./scenarios/big-file.ts";
import { many, small } from "./scenarios/many-files.ts";
import { table } from "./table.ts";

const KNOWN = { peers: PEERS, scenarios: [lan, small, cpu, many] };

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
  const base = roomyFolder(scenario.spaceBytes(options));
  await using folder = scratch(base);
  // Servers that were stopped in the middle would stay, and so would gigabytes of memory.
  const interrupted = () => {
    killAll();
    rmSync(folder.path, { recursive: true, force: true });
    process.exit(130);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) process.once(name, interrupted);
  try {
    mkdirSync(folder.at("source"));
    const work = await scenario.prepare(folder.at("source"), options);
    const { rounds, hosts } = options;
    const say = (line: string) => process.stderr.write(`${scenario.name}: ${line}\n`);
    const { endurance } = scenario;
    const runs = await measure(options.peersOf(scenario), work, {
      rounds,
      hosts,
      endurance,
      say,
      scratch: folder.at("peers"),
    });
    return makeReport(scenario, { work, hosts, folder: base, runs });
  } finally {
    for (const name of signals) process.off(name, interrupted);
  }
}

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2), KNOWN);
  if (options === "help") {
    process.stdout.write(usage(KNOWN));
    return;
  }
  const reports: Report[] = [];
  for (const scenario of options.scenarios) {
    const report = await play(scenario, options);
    process.stdout.write(`${table(report)}\n\n`);
    reports.push(report);
    if (report.rows.some(({ failed }) => failed !== undefined)) process.exitCode = 1;
    if (options.json !== undefined) writeFileSync(resolve(options.json), JSON.stringify(reports, null, 2));
    if (options.svg !== undefined) {
      mkdirSync(options.svg, { recursive: true });
      writeFileSync(join(options.svg, `bench-${scenario.name}.svg`), chart(report));
    }
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
