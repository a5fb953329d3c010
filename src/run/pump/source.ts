/** Reads from an endpoint what a sending job of this process's engine asks for. */

import type { Backend, ChunkAccess, ChunkSource, Confirmed, KnownVersion } from "../../backend/backend.ts";
import type { WholeRead } from "../../backend/chunks.ts";
import { retryingChunks } from "../../backend/wrap/retrying.ts";
import { PbError } from "../../model/error.ts";
import type { CallMemory, Pump, PumpAsk, PumpCalls, PumpSubject } from "../../native/pump.ts";
import type { SendEntry } from "../../native/types.ts";
import { Tuner } from "../tuning.ts";
import { Buffers } from "./buffers.ts";
import { type Flight, Runs } from "./runs.ts";
import { versionNumber } from "./version.ts";

export interface SourcePumpOptions {
  readonly backend: Backend;
  readonly chunks: ChunkAccess;
  /** Calls at once, where the user chose it. */
  readonly fixed?: number | undefined;
  readonly onConfirmed: (confirmed: Confirmed) => void;
}

/** Larger ones are opened; INLINE_MAX of native/pb-io/src/send. */
export const WHOLE_MAX = 256 * 1024;
/** A file's versions that are tried before it counts as one that keeps changing. */
const MAX_OPENS = 3;
/** Versions that are remembered of files that were pushed and not opened: most of more are of files that the receiver has already. The engine opens what it was
 * given within its queue (QUEUE_HIGH of native/pb-io/src/send) and one push. */
const MAX_EXPECTED = 100_000;

type Expected = Partial<KnownVersion>;

interface Reading {
  readonly run: readonly PumpAsk[];
  readonly calls: PumpCalls;
}

interface Filling {
  readonly memory: CallMemory;
  readonly calls: PumpCalls;
}

export class SourcePump implements AsyncDisposable {
  readonly #options: SourcePumpOptions;
  readonly #tuner: Tuner;
  readonly #chunks: ChunkAccess;
  readonly #buffers = new Buffers();
  readonly #open = new Map<number, ChunkSource>();
  /** Of sources whose reads are gathered. */
  readonly #runs = new Map<number, Runs>();
  /** Of sources that are read as one stream: the last read. */
  readonly #last = new Map<number, Promise<unknown>>();
  /** Of files that are to be read: it must be the version by which an earlier run knew it, or of which the receiver was told. Of one that changed all that it is now. */
  readonly #expected = new Map<string, Expected>();
  readonly #stop = new AbortController();

  constructor(options: SourcePumpOptions) {
    const { chunks, fixed } = options;
    this.#options = options;
    this.#tuner = new Tuner({ max: chunks.maxCalls, ...(fixed ? { fixed } : {}) });
    this.#chunks = retryingChunks(chunks, { onRetry: (error) => this.#tuner.failed(error) });
  }

  readonly pump: Pump = (ask, calls) => {
    if (ask.kind === "close") {
      const source = this.#open.get(ask.id);
      this.#open.delete(ask.id);
      this.#last.delete(ask.id);
      this.#runs.delete(ask.id);
      if (source) Promise.resolve(source[Symbol.asyncDispose]()).catch(() => undefined);
      return;
    }
    this.#answer(ask, calls).catch((cause: unknown) =>
      calls.fail(ask.number, PbError.from(cause, "io_error")),
    );
  };

  /** Called with what the engine is given, before it is. */
  expect(entries: readonly SendEntry[]): void {
    for (const { source, version } of entries)
      if (version !== undefined) this.#expected.set(source, { version });
    this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const oldest of this.#expected.keys()) {
      if (this.#expected.size <= MAX_EXPECTED) break;
      this.#expected.delete(oldest);
    }
  }

  async #answer(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const { number, subject } = ask;
    switch (ask.kind) {
      case "read":
        return this.#read(ask, calls);
      case "finish":
        this.#options.onConfirmed(await this.#sourceOf(ask).finish(this.#stop.signal));
        return calls.done(number);
      case "open":
        return calls.version(number, await this.#begin(ask, demand(subject)));
      case "whole":
        return this.#whole(ask, demand(subject), calls);
      case "remove":
        await this.#remove(demand(subject));
        return calls.done(number);
      default:
        throw new PbError("internal", `a source was asked to ${ask.kind}`);
    }
  }

  #sourceOf({ id }: PumpAsk): ChunkSource {
    const source = this.#open.get(id);
    if (source) return source;
    throw new PbError("internal", "a file that is not open was asked for");
  }

  async #begin({ id }: PumpAsk, subject: PumpSubject) {
    const open = (known: KnownVersion) =>
      this.#chunks.open(subject.path, { known, signal: this.#stop.signal });
    const { done: source, known } = await this.#tuner.run(0, () => this.#newest(subject, open));
    this.#open.set(id, source);
    const { size, mtimeNs, version = known.version } = source.now;
    return { size, mtimeNs, version: versionNumber(version), parallel: source.parallel };
  }

  /** Reads, or opens, what is there now, where it is not what was listed: the engine decides what to do about that. */
  async #newest<T>(
    { path, size, mtimeNs }: PumpSubject,
    read: (known: KnownVersion) => Promise<T>,
  ): Promise<{ readonly done: T; readonly known: KnownVersion }> {
    const { signal } = this.#stop;
    let known: KnownVersion = { size, mtimeNs, ...this.#expected.get(path) };
    this.#expected.delete(path);
    for (let tries = 1; ; tries += 1) {
      try {
        return { done: await read(known), known };
      } catch (cause) {
        if (PbError.from(cause).code !== "source_changed" || tries >= MAX_OPENS) throw cause;
        const now = await this.#options.backend.stat(path, { follow: true, signal });
        known = newer(known, now);
        // The engine may offer that, or open it, and then ask for it.
        this.#expected.set(path, known);
        this.#forgetOldest();
      }
    }
  }

  async #read(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const source = this.#sourceOf(ask);
    const read = () => this.#fly(source, { run: [ask], calls }).done;
    if (source.parallel) {
      if (source.gatherBytes === undefined) return read();
      const runs =
        this.#runs.get(ask.id) ??
        new Runs({
          mostBytes: source.gatherBytes,
          size: source.now.size,
          start: (run) => this.#fly(source, { run, calls }),
        });
      this.#runs.set(ask.id, runs);
      return runs.add(ask);
    }
    const turn = (this.#last.get(ask.id) ?? Promise.resolve()).catch(() => undefined).then(read);
    this.#last.set(ask.id, turn);
    return turn;
  }

  #fly(source: ChunkSource, { run, calls }: Reading): Flight {
    if (source.readInto === undefined)
      return { done: this.#readRun(source, { run, calls }), left: () => 0, split: () => [] };
    const memory = calls.memory(run);
    return {
      done: this.#readMemory(source, { memory, calls }),
      left: () => memory.left(),
      split: () => memory.split(),
    };
  }

  /** Past JavaScript, where that can be. Does not reject. */
  async #readMemory(source: ChunkSource, { memory, calls }: Filling): Promise<void> {
    try {
      const { signal } = this.#stop;
      if (await this.#tuner.run(memory.length, async () => source.readInto?.(memory, signal))) return;
    } catch (cause) {
      failAll(calls, memory.asks, cause);
      return;
    }
    await this.#readRun(source, { run: memory.asks, calls });
  }

  /** What follows each other, with one call. Does not reject. */
  async #readRun(source: ChunkSource, { run, calls }: Reading): Promise<void> {
    const length = run.reduce((sum, ask) => sum + ask.length, 0);
    const { signal } = this.#stop;
    try {
      // Memory for those alone that have their turn.
      await this.#tuner.run(length, () =>
        this.#buffers.use(length, async (buffer) => {
          await source.read(run[0]?.offset ?? 0, buffer, signal);
          let at = 0;
          for (const ask of run) {
            calls.fill(ask.number, buffer.subarray(at, at + ask.length));
            calls.done(ask.number);
            at += ask.length;
          }
        }),
      );
    } catch (cause) {
      failAll(calls, run, cause);
    }
  }

  /** Of one that has another size by now only what it is is told: the engine then opens it. */
  async #whole(ask: PumpAsk, subject: PumpSubject, calls: PumpCalls): Promise<void> {
    const { signal } = this.#stop;
    const { path } = subject;
    const chunks = this.#chunks;
    const whole = async (known: KnownVersion): Promise<WholeRead | KnownVersion> => {
      if (known.size !== ask.length) return known;
      const past = await chunks.readWholeInto?.(path, calls.memory([ask]), { known, signal });
      if (past !== undefined) return past;
      const into = Buffer.allocUnsafeSlow(ask.length);
      const read = await chunks.readWhole(path, into, { known, signal });
      calls.fill(ask.number, into);
      return read;
    };
    const { done: read } = await this.#tuner.run(ask.length, () => this.#newest(subject, whole));
    if ("confirmed" in read) this.#options.onConfirmed(read.confirmed);
    calls.version(ask.number, numbered(read));
  }

  async #remove({ path, kind, size, mtimeNs, version }: PumpSubject): Promise<void> {
    const { signal } = this.#stop;
    const { backend } = this.#options;
    await this.#tuner.run(0, async () => {
      const now = await backend.stat(path, { follow: false, signal });
      const same =
        now.kind === kind &&
        (kind !== "file" || (now.size === size && now.mtimeNs === mtimeNs)) &&
        (version === 0n || versionNumber(now.version) === version);
      if (!same) throw new PbError("source_changed", "it has changed", { path });
      await backend.remove(path, { recursive: false, signal });
    });
  }

  /** Whatever is under way ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(open.map((source) => source[Symbol.asyncDispose]()));
  }
}

/** Nobody hears it of one that was answered. */
function failAll(calls: PumpCalls, asks: readonly PumpAsk[], cause: unknown): void {
  const error = PbError.from(cause, "io_error");
  for (const { number } of asks) calls.fail(number, error);
}

/** What is there by now. Where that is what was known, reading names versions in another way than listing (WebDAV servers do): size and time are left. */
function newer(known: KnownVersion, { size, mtimeNs, version }: KnownVersion): KnownVersion {
  const isSame = size === known.size && mtimeNs === known.mtimeNs && version === known.version;
  return { size, mtimeNs, ...(version === undefined || isSame ? {} : { version }) };
}

/** As the engine is told of a small file. */
function numbered({ size, mtimeNs, version }: KnownVersion) {
  return { size, mtimeNs, version: versionNumber(version), parallel: false };
}

function demand(subject: PumpSubject | undefined): PumpSubject {
  if (subject) return subject;
  throw new PbError("internal", "a call about nothing");
}
