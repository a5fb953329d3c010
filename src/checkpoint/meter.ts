import { LATENCY_BOUNDS_MS } from "../model/checkpoint.ts";

const WINDOW_SECONDS = 10;

/** Counts of latencies by `LATENCY_BOUNDS_MS`. */
export class Histogram {
  readonly counts: number[] = new Array(LATENCY_BOUNDS_MS.length + 1).fill(0);

  add(ms: number): void {
    const found = LATENCY_BOUNDS_MS.findIndex((bound) => ms <= bound);
    const index = found < 0 ? LATENCY_BOUNDS_MS.length : found;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
  }
}

/** An amount, in all and per second over the last 10 s. */
export class Meter {
  total = 0;
  readonly #now: () => number;
  readonly #began: number;
  readonly #slots = new Float64Array(WINDOW_SECONDS);
  #second = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#began = now();
  }

  add(amount: number): void {
    this.#turn();
    this.total += amount;
    const slot = this.#second % WINDOW_SECONDS;
    this.#slots[slot] = (this.#slots[slot] ?? 0) + amount;
  }

  perSecond(): number {
    this.#turn();
    const seconds = (this.#now() - this.#began) / 1_000;
    const sum = this.#slots.reduce((all, one) => all + one, 0);
    // The slot of this second is not full yet; a life under a second counts as one.
    return sum / Math.max(1, Math.min(WINDOW_SECONDS - 1 + (seconds % 1), seconds));
  }

  #turn(): void {
    const second = Math.floor((this.#now() - this.#began) / 1_000);
    const passed = Math.min(second - this.#second, WINDOW_SECONDS);
    for (let step = 1; step <= passed; step += 1) this.#slots[(this.#second + step) % WINDOW_SECONDS] = 0;
    this.#second = Math.max(second, this.#second);
  }
}
