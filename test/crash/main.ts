/** `npm run crash`; `-- --help` says what it takes. */
import { type Arguments, parse, USAGE } from "./lib/arguments.ts";
import { type HammerOutcome, hammer } from "./lib/hammer.ts";
import { describePoint, whyNoKillpoint } from "./lib/killpoint.ts";
import { labWire, whyNoLab } from "./lib/lab-wire.ts";
import { million } from "./lib/million.ts";
import { outage } from "./lib/outage.ts";
import type { Side } from "./lib/point.ts";
import { Scene, type SceneOptions } from "./lib/scene.ts";
import { formatSummary, summarise } from "./lib/summary.ts";
import { sweep } from "./lib/sweep.ts";
import { large, many, small } from "./lib/workloads.ts";
import { whyNoStrace } from "./order/record.ts";

interface Case {
  readonly side: Side;
  readonly scene: SceneOptions;
  readonly name: string;
}

const LOADS = { small: () => small, large, many };

/** Every combination that was asked for and makes sense. */
function* cases(options: Arguments, load: keyof typeof LOADS): Generator<Case> {
  for (const direction of options.directions)
    for (const transport of direction === "local" ? (["auto"] as const) : options.transports)
      for (const move of options.moves)
        for (const side of options.sides) {
          if (direction === "local" && side === "server") continue;
          const words = [load, direction, transport, move ? "move" : "copy", `${side} killed`];
          yield {
            side,
            scene: { direction, transport, move, workload: LOADS[load](), args: options.args },
            name: words.join(" "),
          };
        }
}

/** Several times what most points take: worth a line, no violation. */
const SLOW_MS = 10_000;

let failed = false;

function tell(lines: readonly string[], what: string): void {
  for (const line of lines) {
    failed = true;
    process.stdout.write(`VIOLATION ${what}: ${line}\n`);
  }
}

async function points(options: Arguments): Promise<void> {
  const why = whyNoKillpoint();
  if (why !== undefined) {
    process.stdout.write(`SKIPPED kills at system calls: ${why}\n`);
    process.exitCode = 1;
    return;
  }
  for (const { name, side, scene: sceneOptions } of cases(options, "small"))
    for (const seed of options.points === "all" ? options.seeds.slice(0, 1) : options.seeds) {
      await using scene = await Scene.make(sceneOptions);
      const outcomes = await sweep(scene, {
        side,
        seed,
        points: options.points,
        slice: options.slice,
        onOutcome: ({ point, violations, endedMs, resumedMs }, number, of) => {
          const at = point === undefined ? "not reached" : describePoint(point, scene.folder.path);
          tell(violations, `${name}: ${at}`);
          for (const [what, ms] of [
            ["end", endedMs],
            ["resume", resumedMs],
          ] as const)
            if (ms > SLOW_MS)
              process.stdout.write(`SLOW ${name}: ${at}: ${what} after ${Math.round(ms)} ms\n`);
          if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${number} of ${of}\x1b[K`);
        },
      });
      if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
      const summary = summarise(outcomes, scene.folder.path);
      process.stdout.write(`${formatSummary(`${name}, seed ${seed}`, summary)}\n`);
    }
}

async function random(options: Arguments): Promise<void> {
  for (const load of options.loads)
    for (const { name, side, scene: sceneOptions } of cases(options, load)) {
      await using scene = await Scene.make(sceneOptions);
      for (const seed of options.seeds) {
        const outcome: HammerOutcome = await hammer(scene, { seed, sides: [side] });
        tell(outcome.violations, `${name}, seed ${seed}`);
        process.stdout.write(`${name}, seed ${seed}: ${outcome.summary}\n`);
      }
    }
}

async function manyFiles({ trace }: Arguments, files: number): Promise<void> {
  const why = trace ? whyNoStrace() : "not asked for";
  if (why !== undefined) process.stdout.write(`SKIPPED counting opened files: ${why}\n`);
  const say = (line: string) => void process.stdout.write(`${files} files: ${line}\n`);
  tell(await million({ files, trace: why === undefined, say }), `${files} files`);
}

/** Lasts a minute and a half beside the outage itself. */
async function interrupted(seconds: number): Promise<void> {
  const why = whyNoLab();
  if (why !== undefined) {
    process.stdout.write(`SKIPPED the outage: ${why}\n`);
    process.exitCode = 1;
    return;
  }
  const { lab, wire } = await labWire();
  try {
    const say = (line: string) => void process.stdout.write(`outage: ${line}\n`);
    const rate = { bytes: 1024 * 2 ** 20, bytesPerSecond: 16 * 2 ** 20 };
    const { violations } = await outage({ wire, ...rate, downMs: seconds * 1_000, goneMs: 2_000, say });
    tell(violations, "outage");
  } finally {
    await lab.close();
  }
}

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2));
  if (options === "help") {
    process.stdout.write(USAGE);
    return;
  }
  if (options.million !== undefined) await manyFiles(options, options.million);
  else if (options.outageSeconds !== undefined) await interrupted(options.outageSeconds);
  else {
    if (options.modes.includes("points")) await points(options);
    if (options.modes.includes("random")) await random(options);
  }
  if (failed) process.exitCode = 1;
}

await main().catch((error: unknown) => {
  process.stderr.write(`crash: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
