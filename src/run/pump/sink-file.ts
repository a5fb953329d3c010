import type { ChunkSink, Confirmed } from "../../backend/backend.ts";
import { PbError } from "../../model/error.ts";
import type { PumpAsk, PumpCalls } from "../../native/pump.ts";
import type { Tuner } from "../tuning.ts";
import type { Buffers } from "./buffers.ts";

/** What waits in the engine's memory for what comes before it. */
export interface Held {
  bytes: number;
  readonly most: number;
}

export interface SinkFileOptions {
  readonly held: Held;
  /** `PathText` at the endpoint. */
  readonly path: string;
  readonly size: number;
  /** What an earlier run has written from the beginning of a file that goes on, where the endpoint writes in order. */
  readonly begunAt?: number;
  readonly tuner: Tuner;
  readonly buffers: Buffers;
  readonly signal: AbortSignal;
}

/** A verified chunk that waits in the engine's memory. */
interface Waiting {
  readonly ask: PumpAsk;
  readonly calls: PumpCalls;
  /** Counted in `Held`. */
  readonly isHeld: boolean;
}

/** Of an ascending sink at most so much goes with one call. */
const ASCENDING_BYTES = 4 * 1024 * 1024;

/**
 * One large file on its way to an endpoint: chunks come in any order; whole blocks, or what is next, go on. What can't go yet stays in the
 * engine, whose credit it holds; but what waits for something that is to come no more than a part of that, or this would have none left to come with.
 */
export class SinkFile {
  /** Rejects when the endpoint would not begin it. */
  readonly opened: Promise<ChunkSink>;
  readonly #options: SinkFileOptions;
  /** By the number of their block; of a sink without blocks by their offset. */
  readonly #waiting = new Map<number, Waiting[]>();
  /** Where an ascending sink goes on. */
  #next: number;
  /** Where what is next of one without blocks ends: no byte is missing before it. */
  #reach: number;
  #isBusy = false;
  #isOver = false;
  /** Nothing more is written: the engine gives the file up. */
  #hasFailed = false;

  constructor(opened: Promise<ChunkSink>, options: SinkFileOptions) {
    this.opened = opened;
    this.#options = options;
    this.#next = options.begunAt ?? 0;
    this.#reach = this.#next;
    opened.catch(() => undefined);
  }

  get path(): string {
    return this.#options.path;
  }

  async write(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const sink = await this.opened;
    if (this.#isOver) throw givenUp();
    const { blockBytes, order } = sink;
    const block = Math.floor(ask.offset / blockBytes);
    const there = this.#waiting.get(block) ?? [];
    there.push(this.#hold(ask, calls, sink));
    this.#waiting.set(block, there);
    if (order === "ascending") return this.#ascend(sink);
    const bytes = there.reduce((sum, each) => sum + each.ask.length, 0);
    const start = block * blockBytes;
    const whole = blockBytes === 1 ? 0 : Math.min(blockBytes, this.#options.size - start);
    if (bytes < whole) return;
    this.#waiting.delete(block);
    await this.#send(sink, there);
  }

  #hold(ask: PumpAsk, calls: PumpCalls, { blockBytes, order }: ChunkSink): Waiting {
    const { held } = this.#options;
    // It waits for nothing but its turn, and its credit is what bounds how much does.
    if (order === "ascending" && blockBytes === 1 && this.#isInLine(ask))
      return { ask, calls, isHeld: false };
    const isHeld = held.bytes + ask.length <= held.most;
    if (isHeld) held.bytes += ask.length;
    else calls.keepCopy(ask.number);
    return { ask, calls, isHeld };
  }

  /** Of a sink without blocks: is all there that comes before it? */
  #isInLine({ offset, length }: PumpAsk): boolean {
    if (offset !== this.#reach) return false;
    for (let more: number | undefined = length; more !== undefined; ) {
      this.#reach += more;
      more = this.#waiting.get(this.#reach)?.[0]?.ask.length;
    }
    return true;
  }

  /** One call after the other, each with as much as is next. */
  async #ascend(sink: ChunkSink): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (;;) {
        const parts = this.#takeNext(sink.blockBytes);
        if (parts.length === 0) return;
        await this.#send(sink, parts);
      }
    } finally {
      this.#isBusy = false;
    }
  }

  #takeNext(blockBytes: number): Waiting[] {
    const most = blockBytes === 1 ? ASCENDING_BYTES : blockBytes;
    const parts: Waiting[] = [];
    let bytes = 0;
    for (let at = this.#next; bytes < most; ) {
      const block = Math.floor(at / blockBytes);
      const found = this.#waiting.get(block)?.find(({ ask }) => ask.offset === at);
      if (!found) break;
      parts.push(found);
      at += found.ask.length;
      bytes += found.ask.length;
    }
    const isWhole = blockBytes === 1 || bytes === Math.min(blockBytes, this.#options.size - this.#next);
    if (!isWhole) return [];
    for (const { ask } of parts) this.#waiting.delete(Math.floor(ask.offset / blockBytes));
    this.#next += bytes;
    return parts;
  }

  async #send(sink: ChunkSink, parts: readonly Waiting[]): Promise<void> {
    const sorted = [...parts].sort((a, b) => a.ask.offset - b.ask.offset);
    const length = sorted.reduce((sum, { ask }) => sum + ask.length, 0);
    const { tuner, signal, held } = this.#options;
    for (const { ask, isHeld } of sorted) if (isHeld) held.bytes -= ask.length;
    try {
      await tuner.run(length, async () => {
        if (this.#isOver || this.#hasFailed) throw givenUp();
        if (await this.#writeFrom(sink, sorted)) return;
        await this.#withBytes(sorted, (bytes) => sink.write(sorted[0]?.ask.offset ?? 0, bytes, signal));
      });
      for (const { ask, calls } of sorted) calls.done(ask.number);
    } catch (cause) {
      this.#hasFailed = true;
      const error = PbError.from(cause, "io_error");
      for (const { ask, calls } of sorted) calls.fail(ask.number, error);
    }
  }

  /** Past JavaScript, where that can be. */
  async #writeFrom(sink: ChunkSink, parts: readonly Waiting[]): Promise<boolean> {
    const [first] = parts;
    if (sink.writeFrom === undefined || first === undefined) return false;
    return sink.writeFrom(first.calls.memory(parts.map(({ ask }) => ask)), this.#options.signal);
  }

  /** Out of the engine only now, when it is written: until then no memory of ours is used. */
  #withBytes(parts: readonly Waiting[], run: (bytes: readonly Buffer[]) => Promise<void>): Promise<void> {
    const { buffers } = this.#options;
    const next = (at: number, bytes: readonly Buffer[]): Promise<void> => {
      const part = parts[at];
      if (part === undefined) return run(bytes);
      return buffers.use(part.ask.length, async (buffer) => {
        if (!part.calls.take(part.ask.number, buffer)) throw new PbError("aborted", "the job is over");
        await next(at + 1, [...bytes, buffer]);
      });
    };
    return next(0, []);
  }

  /** Makes durable what was written; what a later run goes on by, empty where none can. */
  async state(): Promise<Uint8Array> {
    const sink = await this.opened;
    return sink.state(this.#options.signal);
  }

  async commit(): Promise<Confirmed> {
    const sink = await this.opened;
    const { tuner, signal } = this.#options;
    const confirmed = await tuner.run(0, () => sink.commit(signal));
    this.#isOver = true;
    await sink[Symbol.asyncDispose]();
    return confirmed;
  }

  /** What is written stays where it is. */
  async leave(): Promise<void> {
    if (!this.#end()) return;
    const sink = await this.opened;
    await sink[Symbol.asyncDispose]();
  }

  /** False when it was over. */
  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    for (const { ask, isHeld } of [...this.#waiting.values()].flat())
      if (isHeld) this.#options.held.bytes -= ask.length;
    this.#waiting.clear();
    return true;
  }

  /** Not under the transfer's signal: an interrupted one leaves nothing behind either. */
  async discard(): Promise<void> {
    if (!this.#end()) return;
    const sink = await this.opened;
    try {
      await sink.discard(AbortSignal.timeout(DISCARD_MS));
    } finally {
      await sink[Symbol.asyncDispose]();
    }
  }
}

const givenUp = () => new PbError("aborted", "the file was given up");

/** An endpoint that does not answer keeps a part of a file, and nobody waiting. */
export const DISCARD_MS = 15_000;
