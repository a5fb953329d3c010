/**
 * Hands events from callbacks to one reader. Of what waits for a slow reader, `supersedes` says what a newer event makes
 * worthless, so that what waits is bounded by what cannot be superseded.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  readonly #supersedes: (newer: T, waiting: T) => boolean;
  readonly #waiting: T[] = [];
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(supersedes: (newer: T, waiting: T) => boolean) {
    this.#supersedes = supersedes;
  }

  push(event: T): void {
    if (this.#ended) return;
    const last = this.#waiting.length - 1;
    const newest = this.#waiting[last];
    if (newest !== undefined && this.#supersedes(event, newest)) this.#waiting[last] = event;
    else this.#waiting.push(event);
    this.#wake?.();
  }

  /** No more events; the reader gets what waits, then the end, or the error. Idempotent. */
  end(failure?: { readonly error: unknown }): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) {
        yield event;
      } else if (this.#ended) {
        if (this.#failure) throw this.#failure.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}
