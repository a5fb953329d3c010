import type { PumpAsk } from "../../native/pump.ts";

/** So many calls of a file are under way at least: a shorter run waits for more to come only while there are as many. */
const LEAST_FLYING = 4;
/** And for so long, as the engine's readers ask one after the other. */
const GATHER_MS = 5;

export interface RunsOptions {
  /** Of one call. */
  readonly mostBytes: number;
  /** Of the file. */
  readonly size: number;
  /** Reads them; must not reject. */
  readonly start: (run: readonly PumpAsk[]) => Promise<void>;
}

/**
 * Reads of one file, gathered where they follow each other: at an endpoint at which a request costs the same whatever its length, four chunks
 * of 1 MiB are one.
 */
export class Runs {
  readonly #options: RunsOptions;
  /** By their offsets, ascending. */
  readonly #waiting: PumpAsk[] = [];
  #flying = 0;
  #gathering: NodeJS.Timeout | undefined;

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  add(ask: PumpAsk): void {
    const after = this.#waiting.findLastIndex(({ offset }) => offset <= ask.offset);
    this.#waiting.splice(after + 1, 0, ask);
    this.#go();
  }

  #go(): void {
    // What is asked first need not be what comes first: a run that began behind it would leave single chunks.
    if (this.#flying > 0 || this.#runAt(0).isFull) this.#startAll(() => this.#takeFull());
    if (this.#waiting.length === 0 || this.#flying >= LEAST_FLYING) return;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#startAll(() => this.#takeFull() ?? this.#takeFirst());
    }, GATHER_MS);
  }

  #startAll(take: () => readonly PumpAsk[] | undefined): void {
    for (let run = take(); run !== undefined; run = take()) {
      this.#flying += 1;
      void this.#options.start(run).finally(() => {
        this.#flying -= 1;
        this.#go();
      });
    }
  }

  /** One that is as long as it may be, or all of the file. */
  #takeFull(): readonly PumpAsk[] | undefined {
    for (let at = 0; at < this.#waiting.length; ) {
      const { count, isFull } = this.#runAt(at);
      if (isFull) return this.#waiting.splice(at, count);
      at += count;
    }
    return undefined;
  }

  #takeFirst(): readonly PumpAsk[] | undefined {
    if (this.#flying >= LEAST_FLYING || this.#waiting.length === 0) return undefined;
    return this.#waiting.splice(0, this.#runAt(0).count);
  }

  #runAt(first: number): { readonly count: number; readonly isFull: boolean } {
    const { mostBytes, size } = this.#options;
    let count = 0;
    let bytes = 0;
    let end: number | undefined;
    for (const { offset, length } of this.#waiting.slice(first)) {
      if (end !== undefined && offset !== end) break;
      if (count > 0 && bytes + length > mostBytes) return { count, isFull: true };
      count += 1;
      bytes += length;
      end = offset + length;
    }
    return { count, isFull: bytes >= mostBytes || bytes === size };
  }
}
