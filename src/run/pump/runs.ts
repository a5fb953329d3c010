import type { PumpAsk } from "../../native/pump.ts";

/** So many calls of a file are under way at least: a shorter run does not wait for more to come while there are fewer. */
const LEAST_FLYING = 2;

/**
 * Reads of one file, gathered where they follow each other: at an endpoint at which a request costs the same whatever its length, four chunks
 * of 1 MiB are one.
 */
export class Runs {
  readonly #mostBytes: number;
  readonly #start: (run: readonly PumpAsk[]) => Promise<void>;
  /** By their offsets, ascending. */
  readonly #waiting: PumpAsk[] = [];
  #flying = 0;

  /** @param start reads them; must not reject */
  constructor(mostBytes: number, start: (run: readonly PumpAsk[]) => Promise<void>) {
    this.#mostBytes = mostBytes;
    this.#start = start;
  }

  add(ask: PumpAsk): void {
    const after = this.#waiting.findLastIndex(({ offset }) => offset <= ask.offset);
    this.#waiting.splice(after + 1, 0, ask);
    this.#go();
  }

  #go(): void {
    for (let run = this.#next(); run !== undefined; run = this.#next()) {
      this.#flying += 1;
      void this.#start(run).finally(() => {
        this.#flying -= 1;
        this.#go();
      });
    }
  }

  /** One that is as long as it may be, or else the first while little is under way. */
  #next(): readonly PumpAsk[] | undefined {
    for (let at = 0; at < this.#waiting.length; ) {
      const { count, isFull } = this.#runAt(at);
      if (isFull) return this.#waiting.splice(at, count);
      at += count;
    }
    if (this.#flying >= LEAST_FLYING || this.#waiting.length === 0) return undefined;
    return this.#waiting.splice(0, this.#runAt(0).count);
  }

  #runAt(first: number): { readonly count: number; readonly isFull: boolean } {
    let count = 0;
    let bytes = 0;
    let end: number | undefined;
    for (const { offset, length } of this.#waiting.slice(first)) {
      if (end !== undefined && offset !== end) break;
      if (count > 0 && bytes + length > this.#mostBytes) return { count, isFull: true };
      count += 1;
      bytes += length;
      end = offset + length;
    }
    return { count, isFull: bytes >= this.#mostBytes };
  }
}
