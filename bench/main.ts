/** `npm run bench -- SCENARIO… [options]`; `--help` says which. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Found } from "./goals/found.ts";
import { goalsTable } from "./goals/table.ts";
import { type Arguments, parse, usage } from "./lib/arguments.ts";
import { inScratch } from "./lib/folder.ts";
import { measure } from "./measure.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { PEERS } from "./peers/all.ts";
import { makeReport } from "./report.ts";
import type { Scenario, WorkScenario } from "./scenario.ts";
import { cpu, lan } from "./scenarios/big-file.ts";
import { checkpoint } from "./scenarios/checkpoint.ts";
import { endpoints } from "./scenarios/endpoints.ts";
import { fair } from "./scenarios/fair.ts";
import { many, small } from "./scenarios/many-files.ts";
import { wan } from "./scenarios/wan.ts";

const KNOWN = { peers: PEERS, scenarios: [lan, wan, small, fair, cpu, many, checkpoint, endpoints] };

const speaker = (scenario: Scenario) => (line: string) => process.stderr.write(`${scenario.name}: ${line}\n`);

function work(scenario: WorkScenario, options: Arguments): Promise<Outcome> {
  return inScratch(scenario.spaceBytes(options), async (folder, base) => {
    mkdirSync(folder.at("source"));
    const prepared = await scenario.prepare(folder.at("source"), options);
    const { rounds, hosts } = options;
    const runs = await measure(options.peersOf(scenario), prepared, {
      rounds,
      hosts,
      endurance: scenario.endurance,
      say: speaker(scenario),
      scratch: folder.at("peers"),
    });
    return outcomeOf(makeReport(scenario, { work: prepared, hosts, folder: base, runs }));
  });
}

async function* play(scenario: Scenario, options: Arguments): AsyncIterable<Outcome> {
  if (!("play" in scenario)) return yield await work(scenario, options);
  yield* scenario.play({ ...options, peers: options.peersOf(scenario), say: speaker(scenario) });
}

/** A scenario that can't be played here does not take the others with it. */
async function* playAll(options: Arguments): AsyncIterable<Outcome> {
  for (const scenario of options.scenarios) {
    try {
      yield* play(scenario, options);
    } catch (error) {
      complain(error);
    }
  }
}

function complain(error: unknown): void {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2), KNOWN);
  if (options === "help") {
    process.stdout.write(usage(KNOWN));
    return;
  }
  const before = options.read.flatMap(readOutcomes);
  const found: unknown[] = [];
  for await (const { name, text, data, svg, failed } of playAll(options)) {
    process.stdout.write(`${text}\n\n`);
    found.push(data);
    if (failed) process.exitCode = 1;
    if (options.json !== undefined) writeFileSync(resolve(options.json), JSON.stringify(found, null, 2));
    if (options.svg === undefined) continue;
    mkdirSync(options.svg, { recursive: true });
    writeFileSync(join(options.svg, `bench-${name}.svg`), svg);
  }
  if (options.goals) process.stdout.write(`${goalsTable(new Found([...before, ...found]))}\n`);
}

/** @throws Error naming the file */
function readOutcomes(file: string): readonly unknown[] {
  try {
    const outcomes: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (Array.isArray(outcomes)) return outcomes;
  } catch (cause) {
    throw new Error(`--read: ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  throw new Error(`--read: ${file}: not what --json writes`);
}

await main().catch(complain);
