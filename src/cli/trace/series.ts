import { EVENT, type LimitedMs, type TraceRecord } from "../../model/trace.ts";

/** A counter or gauge of one lane over time. */
export interface Point {
  readonly ms: number;
  readonly value: number;
}

/** What one lane said of itself, as seen from one side. */
export interface LaneLog {
  readonly key: string;
  readonly vantage: "client" | "server";
  /** By name of the field. */
  readonly fields: ReadonlyMap<string, readonly Point[]>;
  readonly limited: LimitedMs | undefined;
}

const FIELDS = [
  "smoothed_rtt",
  "min_rtt",
  "congestion_window",
  "bytes_in_flight",
  "delivery_rate",
  "bytes_sent",
  "bytes_received",
  "packets_sent",
  "packets_lost",
  "packets_spuriously_lost",
] as const;

export type Field = (typeof FIELDS)[number];

/** The lanes of a trace. A trace without lane numbers (of another program) has one. */
export function lanesOf(records: readonly TraceRecord[]): LaneLog[] {
  const lanes = new Map<string, { log: Omit<LaneLog, "fields">; fields: Map<string, Point[]> }>();
  for (const { time, name, data, vantage_point } of records) {
    if (name !== EVENT.metrics) continue;
    const vantage = vantage_point ?? "client";
    const key = `${vantage}/${typeof data.lane === "number" ? data.lane : 0}`;
    const fields = lanes.get(key)?.fields ?? new Map<string, Point[]>();
    const limited = limitedOf(data.limited) ?? lanes.get(key)?.log.limited;
    lanes.set(key, { log: { key, vantage, limited }, fields });
    for (const field of FIELDS) {
      const value = data[field];
      if (typeof value !== "number" || !Number.isFinite(value)) continue;
      const points = fields.get(field) ?? [];
      fields.set(field, points);
      points.push({ ms: time, value });
    }
  }
  return [...lanes.values()].map(({ log, fields }) => ({ ...log, fields }));
}

function limitedOf(value: unknown): LimitedMs | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const given = value as Partial<Record<keyof LimitedMs, unknown>>;
  const ms = (key: keyof LimitedMs) => (typeof given[key] === "number" ? given[key] : 0);
  return {
    application: ms("application"),
    cpu: ms("cpu"),
    congestion: ms("congestion"),
    receiver: ms("receiver"),
    pacing: ms("pacing"),
  };
}

export function points(lane: LaneLog, field: Field): readonly Point[] {
  return lane.fields.get(field) ?? [];
}

/** A counter's value at a moment, on the line between its points; it began at 0 with the trace. */
export function counterAt(series: readonly Point[], ms: number): number {
  const after = firstAfter(series, ms);
  const before = after === 0 ? { ms: 0, value: 0 } : (series[after - 1] as Point);
  const next = series[after];
  if (!next || next.ms <= before.ms) return before.value;
  return before.value + ((next.value - before.value) * (ms - before.ms)) / (next.ms - before.ms);
}

/** A gauge's mean between two moments; between points it keeps its value. `undefined` before its first. */
export function gaugeMean(series: readonly Point[], fromMs: number, toMs: number): number | undefined {
  let at = firstAfter(series, fromMs);
  let value = series[at - 1]?.value;
  let [from, sum, span] = [fromMs, 0, 0];
  for (; ; at += 1) {
    const next = series[at];
    const until = Math.min(toMs, next?.ms ?? toMs);
    if (value !== undefined) {
      sum += value * (until - from);
      span += until - from;
    }
    if (!next || next.ms >= toMs) break;
    [from, value] = [until, next.value];
  }
  return span > 0 ? sum / span : value;
}

/** Index of the first point later than `ms`. */
function firstAfter(series: readonly Point[], ms: number): number {
  let [low, high] = [0, series.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((series[middle] as Point).ms > ms) high = middle;
    else low = middle + 1;
  }
  return low;
}
