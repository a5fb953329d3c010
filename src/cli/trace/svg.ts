import { displayPath } from "../../model/path.ts";
import { formatSeconds } from "../render/units.ts";
import type { Chart, Columns } from "./chart.ts";
import { figures, limitLine, type Panel, panelsOf, totalLine } from "./panels.ts";

/** Pixels. */
const WIDTH = 960;
const LEFT = 90;
const RIGHT = 20;
const HEAD = 40;
const PANEL = 130;
const GAP = 38;
const FOOT = 64;
const PLOT = WIDTH - LEFT - RIGHT;
/** Values along the plot: a little finer than a pixel is drawn. */
export const SVG_COLUMNS = PLOT;

const COLORS: Readonly<Record<string, string>> = {
  rate: "#1a7f37",
  "round trip": "#9a6700",
  window: "#0969da",
  loss: "#cf222e",
};

/** The chart as one SVG document that needs nothing from elsewhere. */
export function drawSvg(chart: Chart): string {
  const panels = panelsOf(chart);
  const height = HEAD + panels.length * (PANEL + GAP) + FOOT;
  const bottom = height - FOOT;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#1f2328">`,
    `<title>${escaped(displayPath(chart.title))}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="24" font-size="15" font-weight="600">${escaped(displayPath(chart.title))}</text>`,
    ...panels.flatMap((panel, at) => drawPanel(panel, HEAD + GAP / 2 + at * (PANEL + GAP))),
    `<text x="${LEFT}" y="${bottom}">0 s</text>`,
    `<text x="${WIDTH - RIGHT}" y="${bottom}" text-anchor="end">${escaped(formatSeconds(chart.seconds))}</text>`,
    `<text x="${LEFT}" y="${bottom + 26}">${escaped(totalLine(chart))}</text>`,
    `<text x="${LEFT}" y="${bottom + 46}" font-weight="600">${escaped(limitLine(chart))}</text>`,
    "</svg>",
  ].join("\n")}\n`;
}

function drawPanel(panel: Panel, top: number): string[] {
  const color = COLORS[panel.name] ?? "#1f2328";
  const base = top + PANEL;
  const below = panel.below ? `, ${panel.below.name} (filled)` : "";
  const shapes = [
    ...(panel.below ? areas(panel.below.values, { panel, base, color, opacity: 0.25 }) : []),
    ...(panel.style === "area" ? areas(panel.values, { panel, base, color, opacity: 0.35 }) : []),
    ...lines(panel.values, { panel, base, color }),
  ];
  return [
    `<text x="${LEFT}" y="${top - 6}" font-weight="600">${escaped(panel.name + below)}<tspan font-weight="400" fill="#59636e">  ${escaped(figures(panel))}</tspan></text>`,
    ...[0, 0.5, 1].flatMap((part) => gridLine(panel, base - part * PANEL, part)),
    ...shapes,
  ];
}

function gridLine(panel: Panel, y: number, part: number): string[] {
  const label = part === 0 ? "0" : panel.format(panel.top * part);
  return [
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" stroke="#d1d9e0"/>`,
    `<text x="${LEFT - 8}" y="${y + 4}" text-anchor="end" fill="#59636e">${escaped(label)}</text>`,
  ];
}

interface Drawing {
  readonly panel: Panel;
  readonly base: number;
  readonly color: string;
  readonly opacity?: number;
}

/** Runs of known values as points; what is not known is a gap. */
function runs(values: Columns, { panel, base }: Drawing): [x: number, y: number][][] {
  const all: [number, number][][] = [];
  let run: [number, number][] | undefined;
  values.forEach((value, at) => {
    if (value === undefined) {
      run = undefined;
      return;
    }
    if (!run) {
      run = [];
      all.push(run);
    }
    const x = LEFT + ((at + 0.5) / values.length) * PLOT;
    run.push([x, base - Math.min(1, value / panel.top) * PANEL]);
  });
  return all;
}

const at = ([x, y]: readonly [number, number]) => `${x.toFixed(1)},${y.toFixed(1)}`;

function areas(values: Columns, drawing: Drawing): string[] {
  return runs(values, drawing).map((run) => {
    const [first, last] = [run[0]?.[0] ?? 0, run.at(-1)?.[0] ?? 0];
    const shape = [at([first, drawing.base]), ...run.map(at), at([last, drawing.base])].join(" ");
    return `<polygon points="${shape}" fill="${drawing.color}" fill-opacity="${drawing.opacity ?? 1}"/>`;
  });
}

function lines(values: Columns, drawing: Drawing): string[] {
  return runs(values, drawing).map(
    (run) =>
      `<polyline points="${run.map(at).join(" ")}" fill="none" stroke="${drawing.color}" stroke-width="1.5"/>`,
  );
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (one) => ENTITIES[one] ?? one);
}
