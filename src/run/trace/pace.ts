/** The finest that lanes give samples (native/pb-io/src/transport/sampled.rs). */
const FINEST_MS = 10;
/** What a chart can show: a thousandth of the time so far. */
const SHARE = 1_000;
/** Samples are due at whole ticks of a thread that has other work: a little early is on time. */
const EARLY = 0.9;

/**
 * Thins what is written as a transfer grows older: never more than every 10 ms, later every thousandth of the time so far. A
 * series therefore has at most about 1,000 (1 + ln(t / 10 s)) points: 10,000 after a day.
 */
export class Pace {
  readonly #last = new Map<string, number>();

  /** True when the series is to have a point at `ms` since the start; it then counts as given. */
  takes(series: string, ms: number): boolean {
    const last = this.#last.get(series);
    if (last !== undefined && ms - last < EARLY * Math.max(FINEST_MS, ms / SHARE)) return false;
    this.#last.set(series, ms);
    return true;
  }
}
