import type { LaneSample } from "../native/types.ts";

/** The rate shown is that of the last two seconds: short enough to follow a path, long enough not to flicker. */
const WINDOW_MS = 2_000;
/** A sender that is held at its limit reaches a little less: the limit counts packets, the rate payload. */
const AT_LIMIT = 0.85;

export type LimitedBy = LaneSample["limitedBy"] | "limit";

/** What of a sample says what held its lane up. */
export type LaneTimes = Pick<
  LaneSample,
  "congestionNs" | "receiverNs" | "pacingNs" | "applicationNs" | "cpuNs"
>;

export type LimitTimes = Record<LaneSample["limitedBy"], number>;

interface Point {
  readonly atMs: number;
  readonly bytes: number;
  readonly times: LimitTimes;
}

/**
 * Nanoseconds that the lanes together were held up, by what. What the receiver's processors held up looks to the sender like the
 * receiver's disk, or like a path that drops; `receiving` are the lanes as the receiver sees them.
 */
export function limitTimes(lanes: readonly LaneTimes[], receiving: readonly LaneTimes[] = []): LimitTimes {
  const times: LimitTimes = { congestion: 0, receiver: 0, pacing: 0, application: 0, cpu: 0 };
  for (const lane of lanes) {
    times.congestion += lane.congestionNs;
    times.receiver += lane.receiverNs;
    times.pacing += lane.pacingNs;
    times.application += lane.applicationNs;
    times.cpu += lane.cpuNs;
  }
  let behind = receiving.reduce((sum, { cpuNs }) => sum + cpuNs, 0);
  for (const seen of ["receiver", "congestion"] as const) {
    const moved = Math.min(times[seen], behind);
    times[seen] -= moved;
    times.cpu += moved;
    behind -= moved;
  }
  return times;
}

/**
 * What held the lanes up longest between two sums. A lane that has nothing to send because the receiver has granted no more
 * counts as "receiver", so "application" says that the source was the slower end.
 */
export function longest(now: LimitTimes, before?: LimitTimes): LaneSample["limitedBy"] {
  let most: LaneSample["limitedBy"] = "application";
  let mostNs = 0;
  for (const key of ["congestion", "receiver", "pacing", "application", "cpu"] as const) {
    const ns = now[key] - (before?.[key] ?? 0);
    if (ns > mostNs) [most, mostNs] = [key, ns];
  }
  return most;
}

/** Rate and limit of the last two seconds, from points added in order of time. */
export class Window {
  readonly #points: Point[] = [];
  readonly #limitBytesPerSecond: number;

  /** @param limitBytesPerSecond what the sender may send; 0: no bound */
  constructor(limitBytesPerSecond: number) {
    this.#limitBytesPerSecond = limitBytesPerSecond;
  }

  /** @param times as `limitTimes` gives them */
  add(atMs: number, bytes: number, times: LimitTimes): void {
    this.#points.push({ atMs, bytes, times });
    // One point at or before the window's begin stays, to measure from.
    while ((this.#points[1]?.atMs ?? atMs) <= atMs - WINDOW_MS) this.#points.shift();
  }

  bytesPerSecond(): number {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    if (!first || !last || last.atMs <= first.atMs) return 0;
    return Math.max(0, ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1_000);
  }

  limitedBy(): LimitedBy {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    if (isAtLimit(this.bytesPerSecond(), this.#limitBytesPerSecond)) return "limit";
    return last ? longest(last.times, first === last ? undefined : first?.times) : "application";
  }
}

export function isAtLimit(bytesPerSecond: number, limitBytesPerSecond: number): boolean {
  return limitBytesPerSecond > 0 && bytesPerSecond >= AT_LIMIT * limitBytesPerSecond;
}
