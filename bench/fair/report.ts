/** What `fair` found: for people, and as a chart. */
import type { Sharing, Yielding } from "./analysis.ts";
import type { FairRow } from "./rows.ts";

export interface FairResult {
  readonly row: FairRow;
  readonly sharing?: Sharing;
  readonly yielding?: Yielding;
  readonly queueMs?: number;
  /** Bytes that came in each second. */
  readonly series?: { readonly one: readonly number[]; readonly other: readonly number[] };
  readonly void?: string;
  readonly skipped?: string;
  readonly failed?: string;
}

export interface FairReport {
  readonly scenario: "fair";
  readonly rateMbitPerSec: number;
  readonly roundTripMs: number;
  readonly seconds: number;
  readonly results: readonly FairResult[];
}

const HEADS = ["ours Mbit/s", "other Mbit/s", "ours/other", "Jain", "of link", "queue ms"];

export function fairTable(report: FairReport): string {
  const { rateMbitPerSec, roundTripMs, seconds, results } = report;
  const titles = Math.max(...results.map(({ row }) => row.title.length));
  const line = (title: string, cells: readonly string[]) =>
    [title.padEnd(titles), ...cells.map((cell, at) => cell.padStart(HEADS[at]?.length ?? 0))]
      .join("  ")
      .trimEnd();
  return [
    `fair: a bottleneck of ${rateMbitPerSec} Mbit/s, ${roundTripMs} ms, ${seconds} s for each row, the first 5 not counted`,
    "frames counted at the receivers; queue: mean wait of a packet; Jain: 1 when both get the same, 0.5 when one gets all",
    "",
    line("", HEADS),
    ...results.flatMap((result) => lines(result, report, line)),
  ].join("\n");
}

function lines(
  { row, sharing, yielding, queueMs, void: why, skipped, failed }: FairResult,
  { rateMbitPerSec }: FairReport,
  line: (title: string, cells: readonly string[]) => string,
): string[] {
  if (failed !== undefined) return [line(row.title, [`FAILED: ${failed.split("\n", 1)[0]}`])];
  if (sharing === undefined) return [line(row.title, [`SKIPPED: ${skipped}`])];
  const { oneBitsPerSec: one, otherBitsPerSec: other, jain } = sharing;
  const cells = [
    (one / 1e6).toFixed(1),
    (other / 1e6).toFixed(1),
    other > 0 ? (one / other).toFixed(2) : "",
    jain.toFixed(3),
    `${(((one + other) / (rateMbitPerSec * 1e6)) * 100).toFixed(1)} %`,
    (queueMs ?? 0).toFixed(1),
  ];
  const found = [line(row.title, cells)];
  if (yielding !== undefined) found.push(`  ${sentence(yielding)}`);
  if (why !== undefined) found.push(`  VOID: ${why}`);
  return found;
}

function sentence({ yieldedAfterSeconds: yielded, othersShare, backAfterSeconds: back }: Yielding): string {
  const gave = yielded === undefined ? "never gave nine tenths" : `gave nine tenths after ${yielded} s`;
  const took = back === undefined ? "did not take the link back" : `took the link back after ${back} s`;
  return `${gave}; CUBIC had ${(othersShare * 100).toFixed(0)} % once settled; ${took}`;
}

const [WIDTH, LABELS, BARS, ROW, HEAD] = [760, 270, 420, 28, 58] as const;

/** A bar for each row: ours, then the other's part of the link. */
export function fairChart({ results, rateMbitPerSec, roundTripMs }: FairReport): string {
  const shown = results.filter(({ sharing }) => sharing !== undefined);
  const bars = shown.map(({ row, sharing }, at) => {
    const top = HEAD + at * ROW;
    const wide = (bits: number) => (bits / (rateMbitPerSec * 1e6)) * BARS;
    const [one, other] = [wide(sharing?.oneBitsPerSec ?? 0), wide(sharing?.otherBitsPerSec ?? 0)];
    return [
      `<text x="${LABELS - 8}" y="${top + 14.5}" text-anchor="end" fill="#0f172a">${row.title}</text>`,
      `<rect x="${LABELS}" y="${top}" width="${one.toFixed(1)}" height="20" fill="#2563eb"/>`,
      `<rect x="${(LABELS + one).toFixed(1)}" y="${top}" width="${other.toFixed(1)}" height="20" fill="#94a3b8"/>`,
    ].join("\n");
  });
  const height = HEAD + shown.length * ROW + 12;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="13">
<title>fair: shares of one bottleneck</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="24" font-size="16" font-weight="600" fill="#0f172a">fair: shares of one bottleneck</text>
<text x="16" y="44" fill="#475569">${rateMbitPerSec} Mbit/s, ${roundTripMs} ms; ours (blue), the other (grey)</text>
<line x1="${LABELS + BARS}" x2="${LABELS + BARS}" y1="${HEAD}" y2="${height - 12}" stroke="#0f172a"/>
${bars.join("\n")}
</svg>
`;
}
