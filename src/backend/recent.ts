/**
 * What an endpoint told of a path a moment ago, for who opens it next: a transfer looks at its source, and opens it some milliseconds later. Taken once; nobody who asks
 * what is there now (`stat`) is answered from here. What is opened by it is read as that version alone (If-Range, If-Match), or looked at again at its end.
 */
export class Recent<T> {
  readonly #told = new Map<string, { readonly what: T; readonly atMs: number }>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  leave(key: string, what: T): void {
    this.#told.delete(key);
    this.#told.set(key, { what, atMs: this.#now() });
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= MOST) break;
      this.#told.delete(oldest);
    }
  }

  take(key: string): T | undefined {
    const told = this.#told.get(key);
    this.#told.delete(key);
    return told && this.#now() - told.atMs < MOMENT_MS ? told.what : undefined;
  }
}

/** Between looking and opening are the round trips of a session. */
const MOMENT_MS = 2_000;
const MOST = 64;
