/** How many calls at once an endpoint is given: found by trying, within what it can bear. */

import { isThrottling } from "./throttling.ts";

export interface TuningOptions {
  /** The most (`ChunkAccess.maxCalls`). */
  readonly max: number;
  /** Chosen by the user: not tuned then. */
  readonly fixed?: number;
  /** Milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

/** What browsers open to one server and a little more, and rclone by default (4 files, and 8 that look); from 2 a far server's small files took a second to climb. */
const START = 8;
/** A level is judged over so many milliseconds at least, */
const WINDOW_MS = 100;
/** and so many calls for each that runs at once, so that each has begun and ended within it. */
const WINDOW_CALLS = 2;
/** What counts as more: below, noise would climb. */
const GAIN = 1.05;
/** Calls take this much longer than one level below: then more must come of it. */
const SLOWER = 1.3;
const CLEAR_GAIN = 1.2;
/** After a step back the level is kept for so many windows, before one more is tried. */
const PATIENCE = 20;
/** A call without bytes is worth this many: small files climb by their number. */
const CALL_BYTES = 64 * 1024;

/**
 * A gate for calls, first come first served. The number at once starts at 8, climbs while throughput does, goes back when it does
 * not or calls only take longer, and is halved on errors that say so (throttling, lost connections).
 */
export class Tuner {
  readonly #max: number;
  readonly #isFixed: boolean;
  readonly #now: () => number;
  readonly #waiting: (() => void)[] = [];
  #limit: number;
  #running = 0;
  #window: Window;
  #best = { limit: 0, rate: 0, latencyMs: 0 };
  #rest = 0;
  /** Until the first level that is too high: it doubles, so that a fast endpoint is not kept waiting for long (as TCP's slow start). */
  #isStarting = true;
  #quietUntil = 0;

  constructor({ max, fixed, now = () => performance.now() }: TuningOptions) {
    this.#max = Math.max(1, max);
    this.#isFixed = fixed !== undefined;
    this.#limit = fixed === undefined ? Math.min(START, this.#max) : Math.max(1, fixed);
    this.#now = now;
    this.#window = newWindow(now());
  }

  /** Calls that may run at once now. */
  get limit(): number {
    return this.#limit;
  }

  /** Runs a call that moves so many bytes when there is room for it. */
  async run<T>(bytes: number, call: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) {
      this.#window.full = true;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    const begun = this.#now();
    try {
      const result = await call();
      this.#ended(bytes, this.#now() - begun);
      return result;
    } catch (cause) {
      this.failed(cause);
      throw cause;
    } finally {
      this.#running -= 1;
      this.#admit();
    }
  }

  /** A call failed, whether or not it is tried again. */
  failed(cause: unknown): void {
    const now = this.#now();
    // What runs beside it fails for the same reason: one step for all of them.
    if (this.#isFixed || now < this.#quietUntil || !isThrottling(cause)) return;
    this.#quietUntil = now + WINDOW_MS;
    this.#isStarting = false;
    this.#step(Math.max(1, Math.floor(this.#limit / 2)));
    this.#rest = PATIENCE;
    this.#best = { limit: 0, rate: 0, latencyMs: 0 };
  }

  #admit(): void {
    while (this.#running < this.#limit) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#running += 1;
      next();
    }
  }

  #ended(bytes: number, latencyMs: number): void {
    const window = this.#window;
    window.bytes += bytes + CALL_BYTES;
    window.calls += 1;
    window.latencyMs += latencyMs;
    const lasted = this.#now() - window.since;
    if (this.#isFixed || lasted < WINDOW_MS || window.calls < WINDOW_CALLS * this.#limit) return;
    // Those that wait since before this window are no less in want of room.
    if (window.full || this.#waiting.length > 0)
      this.#judge(window.bytes / lasted, window.latencyMs / window.calls);
    this.#window = newWindow(this.#now());
  }

  #judge(rate: number, latencyMs: number): void {
    const best = this.#best;
    if (this.#limit > best.limit && best.limit > 0) {
      // More at once that only wait longer for each other are no gain, whatever a window of luck says.
      const needed = latencyMs > best.latencyMs * SLOWER ? CLEAR_GAIN : GAIN;
      if (rate <= best.rate * needed) {
        this.#rest = PATIENCE;
        this.#isStarting = false;
        this.#step(best.limit);
        return;
      }
    }
    this.#best = { limit: this.#limit, rate, latencyMs };
    if (this.#rest > 0) this.#rest -= 1;
    else this.#step(this.#limit + (this.#isStarting ? this.#limit : Math.ceil(this.#limit / 4)));
  }

  #step(limit: number): void {
    this.#limit = Math.min(this.#max, Math.max(1, limit));
    this.#window = newWindow(this.#now());
    this.#admit();
  }
}

interface Window {
  since: number;
  bytes: number;
  calls: number;
  latencyMs: number;
  /** Some call had to wait for room: more at once might have helped. */
  full: boolean;
}

function newWindow(since: number): Window {
  return { since, bytes: 0, calls: 0, latencyMs: 0, full: false };
}
