import { setTimeout as sleep } from "node:timers/promises";
import { PbError } from "../../model/error.ts";
import type { ChunkAccess, ChunkSink, ChunkSource } from "../chunks.ts";
import { aborted, refuseAborted } from "../signals.ts";

export interface RetryOptions {
  /** Tries of one call after the first. Default 5. */
  readonly attempts?: number;
  /** Before the first of them, doubled each time; a random part of it is waited ("full jitter", AWS 2015). Default 250 ms. */
  readonly baseMs?: number;
  /** The longest wait that is not the endpoint's own wish. Default 20 s. */
  readonly maxMs?: number;
  /** Told of each failure that is tried again. */
  readonly onRetry?: (error: PbError, delayMs: number) => void;
  /** From 0 to 1. */
  readonly random?: () => number;
}

/** An endpoint that wants to be left alone for longer than this is not waited for. */
const MAX_RETRY_AFTER_MS = 120_000;

/**
 * Runs a call that changes nothing when it is repeated, again while its error is retryable: after what the endpoint asked
 * for (`retryAfterMs`), else with exponential backoff.
 *
 * @throws the last error
 */
export async function retried<T>(
  run: () => Promise<T>,
  {
    signal,
    attempts = 5,
    baseMs = 250,
    maxMs = 20_000,
    onRetry,
    random = Math.random,
  }: RetryOptions & { signal: AbortSignal },
): Promise<T> {
  for (let failed = 0; ; failed += 1) {
    refuseAborted(signal);
    try {
      return await run();
    } catch (cause) {
      const error = PbError.from(cause, "io_error");
      const wish = error.retryAfterMs ?? 0;
      if (!error.retryable || failed >= attempts || wish > MAX_RETRY_AFTER_MS || signal.aborted) throw error;
      const backoff = Math.min(maxMs, baseMs * 2 ** failed);
      const delayMs = wish > 0 ? wish + random() * Math.min(wish, baseMs) : random() * backoff;
      onRetry?.(error, delayMs);
      await sleep(delayMs, undefined, { signal }).catch(() => {
        throw aborted(signal);
      });
    }
  }
}

/** So many calls in a row that an endpoint failed by itself, each as often as it was tried, and the rest are tried once. */
const HOPELESS = 16;

/**
 * Every call of the access, of its sources and sinks, repeated where that may help. An endpoint whose own failure (`io_error`: a full disk behind a "500") does not
 * pass is asked once for each further call, until one succeeds: of a hundred thousand files none would arrive, each after seconds of waiting. One that is away is waited for.
 */
export function retryingChunks(access: ChunkAccess, options: RetryOptions = {}): ChunkAccess {
  let hopeless = 0;
  const again = async <T>(signal: AbortSignal, run: () => Promise<T>) => {
    const tries = hopeless < HOPELESS ? {} : { attempts: 0 };
    try {
      const result = await retried(run, { ...options, ...tries, signal });
      hopeless = 0;
      return result;
    } catch (error) {
      if (error instanceof PbError && error.retryable && error.code === "io_error") hopeless += 1;
      throw error;
    }
  };
  const { setFolder, link, removeBegun, readWholeInto } = access;
  return {
    maxCalls: access.maxCalls,
    open: (path, o) => again(o.signal, async () => retryingSource(await access.open(path, o), again)),
    readWhole: (path, into, o) => again(o.signal, () => access.readWhole(path, into, o)),
    ...(readWholeInto && {
      readWholeInto: (path, memory, o) => again(o.signal, () => readWholeInto.call(access, path, memory, o)),
    }),
    create: (path, o) => again(o.signal, async () => retryingSink(await access.create(path, o), again)),
    writeWhole: (path, bytes, o) => again(o.signal, () => access.writeWhole(path, bytes, o)),
    ...(setFolder && {
      setFolder: (path, o) => again(o.signal, () => setFolder.call(access, path, o)),
    }),
    ...(link && { link: (path, o) => again(o.signal, () => link.call(access, path, o)) }),
    ...(removeBegun && {
      removeBegun: (path, o) => again(o.signal, () => removeBegun.call(access, path, o)),
    }),
  };
}

type Again = <T>(signal: AbortSignal, run: () => Promise<T>) => Promise<T>;

function retryingSource(source: ChunkSource, again: Again): ChunkSource {
  const { readInto } = source;
  return {
    now: source.now,
    parallel: source.parallel,
    ...(source.gatherBytes === undefined ? {} : { gatherBytes: source.gatherBytes }),
    read: (offset, into, signal) => again(signal, () => source.read(offset, into, signal)),
    ...(readInto && {
      readInto: (memory, signal) => again(signal, () => readInto.call(source, memory, signal)),
    }),
    finish: (signal) => again(signal, () => source.finish(signal)),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

function retryingSink(sink: ChunkSink, again: Again): ChunkSink {
  const { writeFrom } = sink;
  return {
    order: sink.order,
    blockBytes: sink.blockBytes,
    ...(sink.has && { has: sink.has }),
    ...(sink.leaves && { leaves: sink.leaves }),
    write: (offset, parts, signal) => again(signal, () => sink.write(offset, parts, signal)),
    ...(writeFrom && {
      writeFrom: (memory, signal) => again(signal, () => writeFrom.call(sink, memory, signal)),
    }),
    state: (signal) => again(signal, () => sink.state(signal)),
    commit: (signal) => again(signal, () => sink.commit(signal)),
    discard: (signal) => again(signal, () => sink.discard(signal)),
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}
