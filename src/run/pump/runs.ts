import type { PumpAsk } from "../../native/pump.ts";

/** So many calls of a file are under way at least: a shorter run waits for more to come only while there are as many. */
const LEAST_FLYING = 4;
/** And for so long, as the engine's readers ask one after the other. */
const GATHER_MS = 5;
/** And while more come, for so long. */
const MOST_GATHER_MS = 40;
/** What is left of a run is shared with a connection that has nothing to do where it is so many calls and more: a request, and what comes in vain, cost something too. */
const LEAST_SHARED = 8;

export interface RunsOptions {
  /** Of one call. */
  readonly mostBytes: number;
  /** Of the file. */
  readonly size: number;
  /** Reads them. */
  readonly start: (run: readonly PumpAsk[]) => Flight;
}

/** A run that is being read. */
export interface Flight {
  /** Does not reject. */
  readonly done: Promise<void>;
  /** Calls of it that nobody has begun with; 0 where none can be taken. */
  left(): number;
  /** Takes the rear half of those out of it. */
  split(): readonly PumpAsk[];
}

/**
 * Reads of one file, gathered where they follow each other: at an endpoint at which a request costs the same whatever its length, four chunks
 * of 1 MiB are one.
 */
export class Runs {
  readonly #options: RunsOptions;
  /** By their offsets, ascending. */
  readonly #waiting: PumpAsk[] = [];
  readonly #flights = new Set<Flight>();
  /** The file's last bytes were asked for. */
  #sawEnd = false;
  /** Since when, ms. */
  #sinceMs = 0;
  #gathering: NodeJS.Timeout | undefined;

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  add(ask: PumpAsk): void {
    const after = this.#waiting.findLastIndex(({ offset }) => offset <= ask.offset);
    this.#waiting.splice(after + 1, 0, ask);
    this.#sawEnd ||= ask.offset + ask.length >= this.#options.size;
    this.#go();
  }

  #go(): void {
    // What is asked first need not be what comes first: a run that began behind it would leave single chunks.
    if (this.#flights.size > 0 || this.#runAt(0).isFull) this.#startAll(() => this.#takeFull());
    if (this.#waiting.length > 0) this.#startLater(() => this.#takeFull() ?? this.#takeFirst());
  }

  #startLater(take: () => readonly PumpAsk[] | undefined): void {
    if (this.#flights.size >= LEAST_FLYING) return;
    if (this.#gathering) {
      if (performance.now() - this.#sinceMs < MOST_GATHER_MS) this.#gathering.refresh();
      return;
    }
    this.#sinceMs = performance.now();
    this.#gathering = setTimeout(() => {
      this.#gathering = undefined;
      this.#startAll(take);
    }, GATHER_MS);
  }

  #startAll(take: () => readonly PumpAsk[] | undefined): void {
    for (let run = take(); run !== undefined; run = take()) {
      const flight = this.#options.start(run);
      this.#flights.add(flight);
      void flight.done.finally(() => {
        this.#flights.delete(flight);
        this.#go();
        // Nothing more is to come: who is done helps the slowest.
        if (this.#sawEnd) this.#startAll(() => this.#takeOver());
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
    if (this.#flights.size >= LEAST_FLYING || this.#waiting.length === 0) return undefined;
    return this.#waiting.splice(0, this.#runAt(0).count);
  }

  #takeOver(): readonly PumpAsk[] | undefined {
    if (this.#flights.size >= LEAST_FLYING || this.#waiting.length > 0) return undefined;
    let slowest: Flight | undefined;
    let most = LEAST_SHARED - 1;
    for (const flight of this.#flights) {
      const left = flight.left();
      if (left <= most) continue;
      slowest = flight;
      most = left;
    }
    const taken = slowest?.split() ?? [];
    return taken.length > 0 ? taken : undefined;
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
