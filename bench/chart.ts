import type { Report, Row } from "./report.ts";

const BAR_HEIGHT = 20;
const ROW_HEIGHT = 28;
const LABELS_WIDTH = 330;
const BARS_WIDTH = 420;
const VALUES_WIDTH = 110;
const HEAD_HEIGHT = 58;

const COLOURS: Readonly<Record<Row["role"], string>> = {
  ours: "#2563eb",
  peer: "#94a3b8",
  baseline: "#d6c7a1",
  gauge: "#93c5fd",
};

interface Bar {
  readonly row: Row;
  readonly value: number;
  /** Of the slowest and the fastest run. */
  readonly low: number;
  readonly high: number;
}

/** An SVG picture: a bar for each peer at its median, a line from its worst to its best run. Skipped peers are not in it. */
export function chart(report: Report): string {
  const bars = report.rows.flatMap((row) => toBar(report, row) ?? []);
  const largest = Math.max(Number.MIN_VALUE, ...bars.map(({ high }) => high));
  const width = LABELS_WIDTH + BARS_WIDTH + VALUES_WIDTH;
  const height = HEAD_HEIGHT + bars.length * ROW_HEIGHT + 12;
  const unit =
    report.chart === "rate" ? `${report.work.unit}, more is better` : "CPU seconds per GiB, less is better";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="13">
<title>${escaped(`${report.scenario}: ${report.work.title}`)}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="24" font-size="16" font-weight="600" fill="#0f172a">${escaped(`${report.scenario}: ${report.work.title}`)}</text>
<text x="16" y="44" fill="#475569">${escaped(`${unit}; medians, lines from worst to best run; ${report.machine.cpus} × ${report.machine.model}`)}</text>
${bars.map((bar, at) => drawn(bar, HEAD_HEIGHT + at * ROW_HEIGHT, BARS_WIDTH / largest)).join("\n")}
</svg>
`;
}

function toBar({ chart: shown, work }: Report, row: Row): Bar | undefined {
  const { figures } = row;
  if (figures === undefined) return undefined;
  if (shown === "rate") {
    const { median, min, max } = figures.seconds;
    return {
      row,
      value: figures.rate,
      low: (figures.rate * median) / max,
      high: (figures.rate * median) / min,
    };
  }
  const gib = work.bytes / 2 ** 30;
  const costs = row.runs.map(({ fromCpuSeconds, toCpuSeconds }) => (fromCpuSeconds + toCpuSeconds) / gib);
  return { row, value: figures.cpuPerGib, low: Math.min(...costs), high: Math.max(...costs) };
}

function drawn({ row, value, low, high }: Bar, top: number, scale: number): string {
  const middle = top + BAR_HEIGHT / 2;
  const x = (amount: number) => (LABELS_WIDTH + amount * scale).toFixed(1);
  const baseline = (middle + 4.5).toFixed(1);
  return [
    `<text x="${LABELS_WIDTH - 8}" y="${baseline}" text-anchor="end" fill="#0f172a">${escaped(row.title)}</text>`,
    `<rect x="${LABELS_WIDTH}" y="${top}" width="${(value * scale).toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${COLOURS[row.role]}"/>`,
    `<line x1="${x(low)}" x2="${x(high)}" y1="${middle}" y2="${middle}" stroke="#0f172a" stroke-width="1.5"/>`,
    `<text x="${(LABELS_WIDTH + high * scale + 8).toFixed(1)}" y="${baseline}" fill="#0f172a">${short(value)}</text>`,
  ].join("\n");
}

function short(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? "");
}
