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
  };
}

export function formatSummary(name: string, summary: Summary): string {
  const { points, notReached, violations, redoMedianBytes, redoMaxBytes } = summary;
  const missed = notReached > 0 ? ` (${notReached} not reached)` : "";
  return `${name}: ${points} points${missed}, ${violations.length} violations, redo median ${redoMedianBytes} max ${redoMaxBytes} bytes`;
}
