/** What checkpoints cost: for people, and as a chart. */
import { type Summary, summary } from "../lib/statistics.ts";
import type { Run } from "../run.ts";
import type { CheckpointRow } from "./rows.ts";

/** What a project that keeps checkpoints is to lose by them at most: 3 %. */
export const GOAL = 0.97;

/** The two runs of one round. */
export interface Pair {
  readonly off: Run;
  readonly on: Run;
}

export interface CheckpointResult {
  readonly row: CheckpointRow;
  readonly work?: string;
  readonly pairs: readonly Pair[];
  readonly skipped?: string;
  readonly failed?: string;
}

export interface CheckpointFigures {
  readonly off: Summary;
  readonly on: Summary;
  /** Rate with checkpoints over the rate without: of the medians. */
  readonly ratio: number;
  /** The same of each pair. */
  readonly paired: Summary;
  /** CPU seconds of both ends, median. */
  readonly offCpu: number;
  readonly onCpu: number;
}

export function figuresOf(pairs: readonly Pair[]): CheckpointFigures | undefined {
  if (pairs.length === 0) return undefined;
  const off = summary(pairs.map((pair) => pair.off.seconds));
  const on = summary(pairs.map((pair) => pair.on.seconds));
  const cpu = (pick: (pair: Pair) => Run) =>
    summary(pairs.map(pick).map((run) => run.fromCpuSeconds + run.toCpuSeconds)).median;
  return {
    off,
    on,
    ratio: off.median / on.median,
    paired: summary(pairs.map((pair) => pair.off.seconds / pair.on.seconds)),
    offCpu: cpu((pair) => pair.off),
    onCpu: cpu((pair) => pair.on),
  };
}

const HEADS = ["off s", "on s", "on/off", "pairs", "least", "most", "off CPU s", "on CPU s"];

export function checkpointTable(results: readonly CheckpointResult[]): string {
  const titles = Math.max(...results.map(({ row }) => row.title.length));
  const line = (title: string, cells: readonly string[]) =>
    [title.padEnd(titles), ...cells.map((cell, at) => cell.padStart(HEADS[at]?.length ?? 0))]
      .join("  ")
      .trimEnd();
  const works = new Set(results.flatMap(({ work }) => work ?? []));
  return [
    `checkpoint: ${[...works].join("; ")}; without checkpoints and with, in turn`,
    `on/off: rate with them over the rate without, of the medians, and in pairs (median, least, most); the goal is ${GOAL}`,
    "",
    line("", HEADS),
    ...results.map((result) => line(result.row.title, cells(result))),
  ].join("\n");
}

function cells({ pairs, failed, skipped }: CheckpointResult): string[] {
  const figures = figuresOf(pairs);
  if (failed !== undefined) return [`FAILED: ${failed.split("\n", 1)[0]}`];
  if (figures === undefined) return [`SKIPPED: ${skipped}`];
  const { off, on, ratio, paired, offCpu, onCpu } = figures;
  const seconds = [off.median, on.median].map((value) => value.toFixed(3));
  const ratios = [ratio, paired.median, paired.min, paired.max].map((value) => value.toFixed(3));
  return [...seconds, ...ratios, offCpu.toFixed(2), onCpu.toFixed(2)];
}

const WIDTH = 640;
const LABELS = 260;
const ROW = 28;
/** The ratios between which bars are drawn. */
const SCALE = { from: 0.8, to: 1.2 };

/** A dot for each row's ratio, a line over its pairs, and the goal. */
export function checkpointChart(results: readonly CheckpointResult[]): string {
  const x = (ratio: number) => {
    const inside = Math.min(SCALE.to, Math.max(SCALE.from, ratio));
    return Math.round(LABELS + ((inside - SCALE.from) / (SCALE.to - SCALE.from)) * (WIDTH - LABELS - 20));
  };
  const height = 30 + results.length * ROW;
  const rows = results.flatMap(({ row, pairs }, at) => {
    const figures = figuresOf(pairs);
    if (figures === undefined) return [];
    const y = 34 + at * ROW;
    const { paired } = figures;
    return [
      `<text x="8" y="${y + 4}">${row.title}</text>`,
      `<line x1="${x(paired.min)}" x2="${x(paired.max)}" y1="${y}" y2="${y}" stroke="#94a3b8"/>`,
      `<circle cx="${x(paired.median)}" cy="${y}" r="5" fill="#2563eb"><title>${paired.median.toFixed(3)}</title></circle>`,
    ];
  });
  const goal = `<line x1="${x(GOAL)}" x2="${x(GOAL)}" y1="20" y2="${height}" stroke="#dc2626" stroke-dasharray="4"/>`;
  const head = `<text x="8" y="14">rate with checkpoints over the rate without (goal ${GOAL})</text>`;
  const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`;
  return [open, head, goal, ...rows, "</svg>"].join("\n");
}
