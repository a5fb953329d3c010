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
  #hurries = false;
  #wake = () => {};

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Resolves when it is time. One at a time. */
  async turn(): Promise<void> {
    const { intervalMs, burst, now } = this.#options;
    if (intervalMs === 0 || this.#hurries) return;
    const waitMs = this.#due - (burst - 1) * intervalMs - now();
    if (waitMs > 0) await this.#wait(waitMs);
    this.#due = Math.max(now(), this.#due) + intervalMs;
  }

  /** Nothing is held back any more, nor what is at the moment. */
  hurry(): void {
    this.#hurries = true;
    this.#wake();
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
