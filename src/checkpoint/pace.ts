import { setTimeout as sleep } from "node:timers/promises";

export interface PaceOptions {
  /** Between two turns in the long run; 0: none are held back. */
  readonly intervalMs: number;
  /** Turns at once after a rest. */
  readonly burst: number;
  readonly now: () => number;
}

/** Holds turns back to a rate, with bursts: the generic cell rate algorithm (ITU-T I.371), that is a leaky bucket. */
export class Pace {
  readonly #options: PaceOptions;
  /** When the next turn would come if there were no bursts. */
  #due = Number.NEGATIVE_INFINITY;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Resolves when it is time. */
  async turn(): Promise<void> {
    const { intervalMs, burst, now } = this.#options;
    if (intervalMs === 0) return;
    const waitMs = this.#due - (burst - 1) * intervalMs - now();
    if (waitMs > 0) await sleep(waitMs);
    this.#due = Math.max(now(), this.#due) + intervalMs;
  }
}
