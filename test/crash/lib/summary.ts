/** Figures of many outcomes. */
import { describePoint } from "./killpoint.ts";
import type { Outcome } from "./point.ts";

export interface Summary {
  readonly points: number;
  /** The job had no such call this time. */
  readonly notReached: number;
  readonly violations: readonly string[];
  readonly redoMedianBytes: number;
  readonly redoMaxBytes: number;
  /** Longest times, ms. */
  readonly endedMs: number;
  readonly resumedMs: number;
}

export function summarise(outcomes: readonly Outcome[], base: string): Summary {
  const redos = outcomes.map(({ redoBytes }) => redoBytes).sort((a, b) => a - b);
  return {
    points: outcomes.length,
    notReached: outcomes.filter(({ point }) => point === undefined).length,
    violations: outcomes.flatMap(({ point, violations }) =>
      violations.map((line) => `${point === undefined ? "" : `${describePoint(point, base)}: `}${line}`),
    ),
    redoMedianBytes: redos[Math.floor(redos.length / 2)] ?? 0,
    redoMaxBytes: redos.at(-1) ?? 0,
    endedMs: Math.max(0, ...outcomes.map(({ endedMs }) => endedMs)),
    resumedMs: Math.max(0, ...outcomes.map(({ resumedMs }) => resumedMs)),
  };
}

export function formatSummary(name: string, summary: Summary): string {
  const { points, notReached, violations, redoMedianBytes, redoMaxBytes } = summary;
  const longest = `ended in ${seconds(summary.endedMs)}, resumed in ${seconds(summary.resumedMs)} at most`;
  const missed = notReached > 0 ? ` (${notReached} not reached)` : "";
  return `${name}: ${points} points${missed}, ${violations.length} violations, redo median ${redoMedianBytes} max ${redoMaxBytes} bytes, ${longest}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
