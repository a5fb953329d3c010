import type { ChunkSink, Confirmed } from "../../backend/backend.ts";
import { PbError } from "../../model/error.ts";
import type { PumpAsk, PumpCalls } from "../../native/pump.ts";
import type { Tuner } from "../tuning.ts";
import { DISCARD_MS } from "./sink-file.ts";

export interface StreamFileOptions {
  /** `PathText` at the endpoint. */
  readonly path: string;
  readonly tuner: Tuner;
  readonly signal: AbortSignal;
}

/** Written at once to an endpoint without blocks of its own. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** Blocks on their way to an endpoint that takes them in any order; one more is gathered meanwhile, and that is all the memory it takes. */
const BLOCKS_AT_ONCE = 2;

interface Waiting {
  readonly ask: PumpAsk;
  readonly calls: PumpCalls;
}

/**
 * A stream on its way to an endpoint: its size is known at its end, so no block tells that it is the last. Chunks are gathered in their order, out of
 * the engine's memory, and answered when they are taken, which is when there is room: what goes wrong later is the failure of the file.
 */
export class StreamFile {
  /** Rejects when the endpoint would not begin it. */
  readonly opened: Promise<ChunkSink>;
  readonly #options: StreamFileOptions;
  /** By offset. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #writes = new Set<Promise<void>>();
  /** What is gathered, and how much of it there is. */
  #block = Buffer.alloc(0);
  #filled = 0;
  /** Of the block in the file. */
  #start = 0;
  #isBusy = false;
  #isOver = false;
  #failure: PbError | undefined;

  constructor(opened: Promise<ChunkSink>, options: StreamFileOptions) {
    this.opened = opened;
    this.#options = options;
    opened.catch(() => undefined);
  }

  get path(): string {
    return this.#options.path;
  }

  async write(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const sink = await this.opened;
    if (this.#failure) throw this.#failure;
    this.#waiting.set(ask.offset, { ask, calls });
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      await this.#gather(sink);
    } catch (cause) {
      this.#fail(cause);
    } finally {
      this.#isBusy = false;
    }
  }

  async #gather(sink: ChunkSink): Promise<void> {
    for (;;) {
      const at = this.#start + this.#filled;
      const next = this.#waiting.get(at);
      if (next === undefined) return;
      await this.#take(sink, next);
      this.#waiting.delete(at);
      next.calls.done(next.ask.number);
    }
  }

  /** Of what was taken nothing is lost by waiting: the chunk is answered after it. */
  async #take(sink: ChunkSink, { ask, calls }: Waiting): Promise<void> {
    const bytes = Buffer.allocUnsafeSlow(ask.length);
    if (!calls.take(ask.number, bytes)) throw new PbError("aborted", "the job is over");
    for (let at = 0; at < bytes.length; ) {
      if (this.#filled === this.#block.length) await this.#nextBlock(sink);
      const copied = bytes.copy(this.#block, this.#filled, at);
      this.#filled += copied;
      at += copied;
    }
  }

  async #nextBlock(sink: ChunkSink): Promise<void> {
    if (this.#filled > 0) await this.#flush(sink);
    this.#block = Buffer.allocUnsafeSlow(sink.blockBytes === 1 ? PIECE_BYTES : sink.blockBytes);
  }

  /** Sends what is gathered once there is room for it. */
  async #flush(sink: ChunkSink): Promise<void> {
    const [offset, bytes] = [this.#start, this.#block.subarray(0, this.#filled)];
    this.#start += this.#filled;
    this.#filled = 0;
    this.#block = Buffer.alloc(0);
    const most = sink.order === "any" ? BLOCKS_AT_ONCE : 1;
    while (this.#writes.size >= most) await Promise.race(this.#writes);
    if (this.#failure) throw this.#failure;
    const { tuner, signal } = this.#options;
    const writing = tuner
      .run(bytes.length, () => sink.write(offset, [bytes], signal))
      .catch((cause: unknown) => this.#fail(cause))
      .finally(() => this.#writes.delete(writing));
    this.#writes.add(writing);
  }

  #fail(cause: unknown): void {
    this.#failure ??= PbError.from(cause, "io_error");
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { ask, calls } of all) calls.fail(ask.number, this.#failure);
  }

  /** It can't be gone on with: what was read of a stream is gone. */
  async state(): Promise<Uint8Array> {
    return new Uint8Array();
  }

  async commit(): Promise<Confirmed> {
    const sink = await this.opened;
    if (this.#filled > 0) await this.#flush(sink);
    await Promise.all(this.#writes);
    if (this.#failure) throw this.#failure;
    const { tuner, signal } = this.#options;
    const confirmed = await tuner.run(0, () => sink.commit(signal));
    this.#isOver = true;
    await sink[Symbol.asyncDispose]();
    return confirmed;
  }

  leave(): Promise<void> {
    return this.discard();
  }

  /** Not under the transfer's signal: an interrupted one leaves nothing behind either. */
  async discard(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#fail(new PbError("aborted", "the file was given up"));
    const sink = await this.opened;
    await Promise.all(this.#writes);
    try {
      await sink.discard(AbortSignal.timeout(DISCARD_MS));
    } finally {
      await sink[Symbol.asyncDispose]();
    }
  }
}
