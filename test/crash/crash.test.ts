/**
 * The crash oracle as a test: a few kills of each kind, others each day (PB_CRASH_SEED names a day again). All of them:
 * `npm run crash`.
 */
import { describe, expect, test } from "vitest";
import { hammer } from "./lib/hammer.ts";
import { whyNoKillpoint } from "./lib/killpoint.ts";
import type { Side } from "./lib/point.ts";
import { type Direction, Scene } from "./lib/scene.ts";
import { formatSummary, summarise } from "./lib/summary.ts";
import { sweep } from "./lib/sweep.ts";
import { large, many, small } from "./lib/workloads.ts";

const DAY_MS = 86_400_000;
const seed = Number(process.env.PB_CRASH_SEED ?? Math.floor(Date.now() / DAY_MS));
const why = whyNoKillpoint();

interface Case {
  readonly direction: Direction;
  readonly side: Side;
  readonly transport: "udp" | "tcp";
  readonly move: boolean;
}

const CASES: readonly Case[] = [
  { direction: "up", side: "server", transport: "udp", move: false },
  { direction: "up", side: "client", transport: "tcp", move: true },
  { direction: "down", side: "client", transport: "udp", move: false },
  { direction: "down", side: "server", transport: "tcp", move: true },
  { direction: "local", side: "client", transport: "udp", move: true },
];

describe.skipIf(why !== undefined)(`killed at a system call (seed ${seed})${why ? `: ${why}` : ""}`, () => {
  test.each(CASES)("$direction, $transport, move: $move, the $side", async ({ side, ...options }) => {
    await using scene = await Scene.make({ ...options, workload: small });
    const outcomes = await sweep(scene, { side, seed, points: 3 });
    const summary = summarise(outcomes, scene.folder.path);
    process.stdout.write(`${formatSummary(`${options.direction}, ${side}`, summary)}\n`);
    expect(summary.violations).toEqual([]);
    // A job may have a call less than the one that was counted, not all of them.
    expect(summary.points - summary.notReached).toBeGreaterThan(0);
  });
});

test.each([
  { name: "large", direction: "up", transport: "udp", workload: large(80 << 20) },
  { name: "many", direction: "down", transport: "tcp", workload: many(600) },
] as const)(
  "killed at random times, twice in one transfer: $name, $direction, $transport",
  async (options) => {
    await using scene = await Scene.make({ ...options, move: false });
    const outcome = await hammer(scene, { seed, sides: ["client", "server"], kills: 2 });
    process.stdout.write(`${outcome.summary}\n`);
    expect(outcome.violations).toEqual([]);
  },
);
