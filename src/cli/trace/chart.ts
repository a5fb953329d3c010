import { PbError } from "../../model/error.ts";
import { EVENT, type LimitedMs } from "../../model/trace.ts";
import type { TraceFile } from "./read.ts";
import { counterAt, type Field, gaugeMean, type LaneLog, lanesOf, type Point, points } from "./series.ts";

/** One value for each column; `undefined`: nothing is known of that time. */
export type Columns = readonly (number | undefined)[];

/** What is drawn, in columns of equal time. */
export interface Chart {
  readonly title: string;
  readonly seconds: number;
  /** Bytes a second. */
  readonly rate: Columns;
  /** Milliseconds. */
  readonly rtt: Columns;
  readonly minRttMs: number;
  /** Bytes, all lanes together. */
  readonly window: Columns;
  readonly inFlight: Columns;
  /** Packets lost of those sent, 0 to 1. */
  readonly loss: Columns;
  readonly totals: Totals;
}

export interface Totals {
  readonly bytes: number;
  readonly lanes: number;
  readonly packetsLost: number;
  readonly packetsSent: number;
  /** Shares of the time, 0 to 1, largest first. */
  readonly limits: readonly { readonly by: string; readonly share: number }[];
}

/** @throws PbError `invalid_argument` when there is nothing to draw */
export function chartOf(trace: TraceFile, columns: number, path: string): Chart {
  const lanes = lanesOf(trace.records);
  const job = jobBytes(trace);
  const endMs = Math.max(...lanes.flatMap(lastMs), job.at(-1)?.ms ?? 0);
  if (!(endMs > 0)) {
    throw new PbError("invalid_argument", `${path} holds no measurements: nothing to draw`, { path });
  }
  const sides = sidesOf(lanes);
  const edges = Array.from({ length: columns + 1 }, (_, at) => (endMs * at) / columns);
  const each = (value: (from: number, to: number) => number | undefined) =>
    edges.slice(1).map((to, at) => value(edges[at] as number, to));
  const carrying = sides.carriers.map((lane) => points(lane, sides.carried));
  const carried = carrying.some((series) => series.length > 0) ? carrying : [job];
  const counted = carried.some((series) => series.length > 0);
  return {
    title: trace.title,
    seconds: endMs / 1_000,
    rate: each((from, to) =>
      counted
        ? (1_000 * delta(carried, from, to)) / (to - from)
        : bytesPerSecond(sum(sides.senders, "delivery_rate", [from, to])),
    ),
    rtt: each((from, to) => mean(sides.senders, "smoothed_rtt", [from, to])),
    minRttMs: minimum(sides.senders),
    window: each((from, to) => sum(sides.senders, "congestion_window", [from, to])),
    inFlight: each((from, to) => sum(sides.senders, "bytes_in_flight", [from, to])),
    loss: each((from, to) => lossBetween(sides.senders, from, to)),
    totals: totalsOf(trace, sides.senders, job.at(-1)?.value ?? delta(carried, 0, endMs)),
  };
}

interface Sides {
  /** Lanes of the side that sends the data: window, flight, losses, limits. */
  readonly senders: readonly LaneLog[];
  /** Lanes and their counter that show the rate finest: the far side tells of itself once a second only. */
  readonly carriers: readonly LaneLog[];
  readonly carried: Field;
}

function sidesOf(lanes: readonly LaneLog[]): Sides {
  const near = lanes.filter(({ vantage }) => vantage === "client");
  const far = lanes.filter(({ vantage }) => vantage === "server");
  const last = (side: readonly LaneLog[], field: Field) =>
    side.reduce((all, lane) => all + (points(lane, field).at(-1)?.value ?? 0), 0);
  const receives = last(near, "bytes_received") > last(near, "bytes_sent");
  return {
    senders: receives && far.length > 0 ? far : near.length > 0 ? near : far,
    carriers: near.length > 0 ? near : far,
    carried: receives ? "bytes_received" : "bytes_sent",
  };
}

function jobBytes({ records }: TraceFile): Point[] {
  return records.flatMap(({ name, time, data }) =>
    (name === EVENT.jobUpdated || name === EVENT.jobEnded) && typeof data.bytes === "number"
      ? [{ ms: time, value: data.bytes }]
      : [],
  );
}

function lastMs({ fields }: LaneLog): number[] {
  return [...fields.values()].map((series) => series.at(-1)?.ms ?? 0);
}

function delta(counters: readonly (readonly Point[])[], from: number, to: number): number {
  return counters.reduce((all, series) => all + counterAt(series, to) - counterAt(series, from), 0);
}

/** Of bits a second. */
function bytesPerSecond(bits: number | undefined): number | undefined {
  return bits === undefined ? undefined : bits / 8;
}

type Span = readonly [from: number, to: number];

function known(lanes: readonly LaneLog[], field: Field, [from, to]: Span): number[] {
  return lanes
    .map((lane) => gaugeMean(points(lane, field), from, to))
    .filter((value): value is number => value !== undefined);
}

function sum(lanes: readonly LaneLog[], field: Field, span: Span): number | undefined {
  const values = known(lanes, field, span);
  return values.length === 0 ? undefined : values.reduce((a, b) => a + b);
}

function mean(lanes: readonly LaneLog[], field: Field, span: Span): number | undefined {
  // 0: not measured yet.
  const values = known(lanes, field, span).filter((value) => value > 0);
  return values.length === 0 ? undefined : values.reduce((a, b) => a + b) / values.length;
}

function minimum(lanes: readonly LaneLog[]): number {
  const all = lanes.map((lane) => points(lane, "min_rtt").at(-1)?.value ?? 0).filter((ms) => ms > 0);
  return all.length === 0 ? 0 : Math.min(...all);
}

function lossBetween(lanes: readonly LaneLog[], from: number, to: number): number | undefined {
  const counters = (field: Field) => lanes.map((lane) => points(lane, field));
  const sent = delta(counters("packets_sent"), from, to);
  const lost =
    delta(counters("packets_lost"), from, to) - delta(counters("packets_spuriously_lost"), from, to);
  return sent > 0 ? Math.min(1, Math.max(0, lost / sent)) : undefined;
}

function totalsOf(trace: TraceFile, senders: readonly LaneLog[], bytes: number): Totals {
  const last = (field: Field) =>
    senders.reduce((all, lane) => all + (points(lane, field).at(-1)?.value ?? 0), 0);
  return {
    bytes,
    lanes: senders.length,
    packetsLost: Math.max(0, last("packets_lost") - last("packets_spuriously_lost")),
    packetsSent: last("packets_sent"),
    limits: shares(limitedMs(senders) ?? limitedByJob(trace)),
  };
}

/** Time of all lanes by cause, where they tell it. */
function limitedMs(senders: readonly LaneLog[]): Map<string, number> | undefined {
  const all = new Map<string, number>();
  for (const { limited } of senders) {
    for (const [by, ms] of Object.entries(limited ?? ({} as Partial<LimitedMs>))) {
      all.set(by, (all.get(by) ?? 0) + ms);
    }
  }
  return all.size === 0 ? undefined : all;
}

/** Without lanes: what the job said of the time up to each of its events. */
function limitedByJob({ records }: TraceFile): Map<string, number> {
  const all = new Map<string, number>();
  let beforeMs = 0;
  for (const { name, time, data } of records) {
    if (name !== EVENT.jobUpdated || typeof data.limited_by !== "string") continue;
    all.set(data.limited_by, (all.get(data.limited_by) ?? 0) + time - beforeMs);
    beforeMs = time;
  }
  return all;
}

function shares(ms: Map<string, number>): Totals["limits"] {
  const whole = [...ms.values()].reduce((a, b) => a + b, 0);
  if (whole <= 0) return [];
  return [...ms]
    .map(([by, part]) => ({ by, share: part / whole }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share);
}
