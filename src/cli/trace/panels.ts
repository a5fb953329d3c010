import { limiter } from "../render/frame.ts";
import { formatBytes, formatRate, formatSeconds, plural } from "../render/units.ts";
import type { Chart, Columns } from "./chart.ts";

/** One of the four drawings, for the terminal and for SVG alike. */
export interface Panel {
  readonly name: string;
  readonly style: "area" | "line";
  readonly values: Columns;
  /** Drawn as an area below the line of `values`. */
  readonly below?: { readonly name: string; readonly values: Columns };
  /** At the top of the scale; above 0. */
  readonly top: number;
  readonly format: (value: number) => string;
}

/** A scale's top: the next of 1, 1.5, 2, ... 10 times a power of ten at or above the largest value; of bytes, in their unit. */
function topOf(values: Columns, { least, bytes }: { least: number; bytes: boolean }): number {
  const largest = Math.max(least, ...values.map((value) => value ?? 0));
  const unit = bytes ? 1024 ** Math.floor(Math.log2(largest) / 10) : 1;
  const decade = 10 ** Math.floor(Math.log10(largest / unit));
  const step = STEPS.find((one) => one * decade * unit >= largest) ?? 10;
  return step * decade * unit;
}

const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** What is known of the chart. */
export function panelsOf({ rate, rtt, window, inFlight, loss }: Chart): Panel[] {
  const all: Panel[] = [
    {
      name: "rate",
      style: "area",
      values: rate,
      top: topOf(rate, { least: 1, bytes: true }),
      format: formatRate,
    },
    {
      name: "round trip",
      style: "line",
      values: rtt,
      top: topOf(rtt, { least: 0.01, bytes: false }),
      format: formatMs,
    },
    {
      name: "window",
      style: "line",
      values: window,
      below: { name: "in flight", values: inFlight },
      top: topOf([...window, ...inFlight], { least: 1, bytes: true }),
      format: formatBytes,
    },
    {
      name: "loss",
      style: "area",
      values: loss,
      top: topOf(loss, { least: 0.001, bytes: false }),
      format: formatShare,
    },
  ];
  return all.filter(({ values }) => values.some((value) => value !== undefined));
}

function formatMs(ms: number): string {
  return `${ms.toFixed(ms >= 99.95 ? 0 : ms >= 9.995 ? 1 : ms >= 0.9995 ? 2 : 3)} ms`;
}

function formatShare(share: number): string {
  const percent = share * 100;
  return `${percent.toFixed(percent >= 9.95 ? 0 : percent >= 0.995 ? 1 : 2)} %`;
}

/** "largest 118 MiB/s, mean 101 MiB/s" */
export function figures({ values, format }: Panel): string {
  const all = values.filter((value) => value !== undefined);
  if (all.length === 0) return "";
  const mean = all.reduce((a, b) => a + b) / all.length;
  return `largest ${format(Math.max(...all))}, mean ${format(mean)}`;
}

/** What limited it for which share of the time. */
export function limitLine({ totals }: Chart): string {
  const parts = totals.limits
    .filter(({ share }) => share >= 0.005)
    .map(({ by, share }) => `${limiter(by)} ${Math.round(share * 100)} %`);
  return parts.length === 0 ? "limited by: not known" : `limited by: ${parts.join(", ")}`;
}

/** "1.00 GiB in 9.12 s over 4 lanes, 0.10 % lost (712 of 735,012 packets), round trip at least 100 ms" */
export function totalLine({ totals, seconds, minRttMs }: Chart): string {
  const { bytes, lanes, packetsLost, packetsSent } = totals;
  const over = lanes > 0 ? ` over ${plural(lanes, "lane")}` : "";
  const lost =
    packetsSent > 0
      ? `, ${formatShare(packetsLost / packetsSent)} lost (${packetsLost} of ${plural(packetsSent, "packet")})`
      : "";
  const rtt = minRttMs > 0 ? `, round trip at least ${formatMs(minRttMs)}` : "";
  return `${formatBytes(bytes)} in ${formatSeconds(seconds)}${over}${lost}${rtt}`;
}
