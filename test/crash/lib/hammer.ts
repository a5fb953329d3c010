/** Kills at random times, several in one transfer. */

import { sleep } from "../../e2e/lib/process.ts";
import { randomIntegers } from "../../e2e/lib/random.ts";
import { afterDone, afterKill, type Remains } from "./oracle.ts";
import { type Receipt, resume, type Side } from "./point.ts";
import type { Scene } from "./scene.ts";

export interface HammerOptions {
  readonly seed: number;
  /** Whom to kill; one of them each time. */
  readonly sides: readonly Side[];
  /** Default 3. */
  readonly kills?: number;
}

export interface HammerOutcome {
  readonly violations: readonly string[];
  /** Of the last run, see `redo`. */
  readonly redoBytes: number;
  readonly boundBytes: number;
  /** One line for a person. */
  readonly summary: string;
}

/** What may be done again, whatever the rate: RELIABILITY's and the journal's bound. */
const REDO_BYTES = 64 * 2 ** 20;
/** A client without a server gives up at once; one that is killed never gets there. */
const ONCE = ["--retries", "0"];

export async function hammer(scene: Scene, options: HammerOptions): Promise<HammerOutcome> {
  const pick = randomIntegers(`hammer ${options.seed}`);
  const clean = await cleanRun(scene);
  await scene.reset();
  const violations: string[] = [];
  let remains: Remains | undefined;
  const { kills = 3, sides } = options;
  // Each leaves enough for the next ones: they fall into the first, second, third part of a clean run.
  for (let kill = 0; kill < kills; kill += 1) {
    const side = sides[pick(sides.length)] ?? "client";
    const share = (0.15 + pick(1_000) / 1_000) / kills;
    remains = await killOnce(scene, side, clean.startMs + share * clean.transferMs);
    violations.push(...remains.violations.map((line) => `after kill ${kill + 1} of the ${side}: ${line}`));
  }
  const last = await resume(scene, remains ?? { violations: [], finishedBytes: 0, partBytes: 0, parts: [] });
  violations.push(...last.violations);
  // One stream: all lanes of a session together.
  const boundBytes = Math.round(Math.max(REDO_BYTES, clean.bytesPerSecond));
  if (last.redoBytes > boundBytes) violations.push(`redo of ${last.redoBytes} bytes, over ${boundBytes}`);
  return { violations, redoBytes: last.redoBytes, boundBytes, summary: line(kills, last, boundBytes) };
}

function line(kills: number, last: Awaited<ReturnType<typeof resume>>, boundBytes: number): string {
  const { receipt, violations, redoBytes } = last;
  const resumed = `${receipt?.resumedBytes ?? 0} bytes and ${receipt?.resumedFiles ?? 0} files resumed`;
  return `${kills} kills, ${violations.length} violations, redo ${redoBytes} of ${boundBytes} bytes allowed, ${resumed}`;
}

interface Clean {
  /** Before the first byte arrives. */
  readonly startMs: number;
  readonly transferMs: number;
  readonly bytesPerSecond: number;
}

async function cleanRun(scene: Scene): Promise<Clean> {
  await scene.reset();
  await scene.ensureServer();
  const began = performance.now();
  const { code, stdout, stderr } = await scene.pb(scene.words());
  const wholeMs = performance.now() - began;
  if (code !== 0) throw new Error(`the job that is to be killed does not work: exit ${code}\n${stderr}`);
  const violations = await afterDone(scene.truth);
  if (violations.length > 0) throw new Error(`nobody was killed, and yet:\n${violations.join("\n")}`);
  const { seconds } = JSON.parse(stdout) as Receipt & { readonly seconds: number };
  const transferMs = Math.min(wholeMs, seconds * 1000);
  return { startMs: wholeMs - transferMs, transferMs, bytesPerSecond: scene.totalBytes / seconds };
}

/** Starts the job, kills one side after so long, and waits until both have noticed. */
async function killOnce(scene: Scene, side: Side, afterMs: number): Promise<Remains> {
  const server = await scene.ensureServer();
  const running = scene.begin(scene.words(...ONCE));
  await sleep(afterMs);
  if (side === "client") running.kill();
  else await server.kill();
  await running.end;
  if (side === "server") await scene.stopServer();
  return afterKill(scene.truth);
}
