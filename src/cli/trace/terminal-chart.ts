import { displayPath } from "../../model/path.ts";
import type { Colors } from "../output.ts";
import { formatSeconds } from "../render/units.ts";
import { Canvas, DOT_COLUMNS, DOT_ROWS } from "./braille.ts";
import type { Chart, Columns } from "./chart.ts";
import { figures, limitLine, type Panel, panelsOf, totalLine } from "./panels.ts";

/** Before the axis: "999 MiB/s" and a space. */
const LABEL = 10;
/** Lines of a panel: four fit a terminal of 24 with their headings and the summary. */
const ROWS = 4;

/** How many values a chart so wide draws. */
export function dotsOf(width: number): number {
  return (width - LABEL - 1) * DOT_COLUMNS;
}

/** Lines no wider than `width`. */
export function drawTerminal(chart: Chart, { width, colors }: { width: number; colors: Colors }): string[] {
  const plot = width - LABEL - 1;
  const paint = [colors.green, colors.yellow, colors.cyan, colors.red];
  const title = chart.title === "" ? [] : [colors.bold(cut(displayPath(chart.title), width))];
  const end = formatSeconds(chart.seconds);
  const axis = `${" ".repeat(LABEL)}└0 s${"─".repeat(Math.max(0, plot - 3 - end.length))}${end}`;
  return [
    ...title,
    ...panelsOf(chart).flatMap((panel, at) => [
      cut(heading(panel), width),
      ...draw(panel, plot, paint[at % paint.length] ?? String),
    ]),
    axis,
    ...[totalLine(chart), limitLine(chart)].flatMap((line) => wrap(line, width)),
  ];
}

function heading(panel: Panel): string {
  const below = panel.below ? ` (line), ${panel.below.name} (filled)` : "";
  return `${panel.name}${below}  ${figures(panel)}`;
}

function draw(panel: Panel, columns: number, paint: (text: string) => string): string[] {
  const canvas = new Canvas({ columns, rows: ROWS });
  if (panel.below) fill(canvas, panel.below.values, panel.top);
  if (panel.style === "area") fill(canvas, panel.values, panel.top);
  else trace(canvas, panel.values, panel.top);
  return canvas.lines().map((line, row) => {
    const label = row === 0 ? panel.format(panel.top) : row === ROWS - 1 ? "0" : "";
    return `${label.padStart(LABEL - 1).slice(0, LABEL - 1)} ${row === 0 ? "┤" : "│"}${paint(line)}`;
  });
}

const HEIGHT = ROWS * DOT_ROWS;

/** The dot of a value; nothing of nothing, and at least one of something. */
function dotsHigh(value: number, top: number): number {
  const dots = Math.round((value / top) * HEIGHT);
  return value > 0 ? Math.min(HEIGHT, Math.max(1, dots)) : 0;
}

function fill(canvas: Canvas, values: Columns, top: number): void {
  values.forEach((value, x) => {
    const high = dotsHigh(value ?? 0, top);
    if (high > 0) canvas.bar(x, 0, high - 1);
  });
}

/** A line: neighbours are joined. */
function trace(canvas: Canvas, values: Columns, top: number): void {
  let before: number | undefined;
  values.forEach((value, x) => {
    const y = value === undefined ? undefined : Math.max(0, dotsHigh(value, top) - 1);
    if (y !== undefined) canvas.bar(x, joined(before, y), y);
    before = y;
  });
}

/** One short of where the neighbour is. */
function joined(before: number | undefined, y: number): number {
  return before === undefined || before === y ? y : before < y ? before + 1 : before - 1;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** At spaces. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
