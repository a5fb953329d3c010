import type { PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import type { Addon } from "./addon.ts";
import { fromNative, nativeFailure } from "./errors.ts";
import type { JobCounters, JobProgress, JobResult } from "./types.ts";

/** Entries that may wait in the engine before `push` holds its caller back; QUEUE_HIGH of native/pb-io/src/send. */
const QUEUE_HIGH = 16_384;

/** What a job of either side has in common: progress, the wait for room, the end. */
export class Job {
  readonly done: Promise<JobResult>;
  readonly #onProgress: (progress: JobProgress) => void;
  readonly #onEnding: () => void;
  readonly #end: (result: JobResult) => void;
  #ended = false;
  /** Wakes callers of `push`. */
  #room: (() => void)[] = [];

  constructor(onProgress: (progress: JobProgress) => void, onEnding: () => void = () => {}) {
    this.#onProgress = onProgress;
    this.#onEnding = onEnding;
    let end: (result: JobResult) => void = () => {};
    this.done = new Promise((resolve) => {
      end = resolve;
    });
    this.#end = end;
  }

  /** For the addon. */
  readonly listener = (update: Addon.NativeUpdate): void => {
    if (update.kind === "room") {
      this.#wake();
      return;
    }
    if (update.kind === "ending") {
      this.#onEnding();
      return;
    }
    const redone = update.redone.map(({ path, reason }) => ({ path: pathText(path), reason }));
    const progress = { ...counters(update), redone, errors: update.errors.map(jobError) };
    this.#onProgress(progress);
    if (update.kind !== "ended") return;
    this.#ended = true;
    this.#wake();
    const hashes = update.hashes.map((h) => ({ path: pathText(h.path), size: h.size, blake3: h.blake3 }));
    const state = (update.state ?? "failed") as JobResult["state"];
    this.#end({ ...progress, state, hashes, allErrors: update.allErrors.map(jobError) });
  };

  /** Runs a push that says how many entries wait, and holds on while those are too many. */
  async push(run: () => number): Promise<void> {
    if (this.#ended) return;
    let waiting: number;
    try {
      waiting = run();
    } catch (error) {
      throw fromNative(error);
    }
    if (waiting > QUEUE_HIGH) await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  #wake(): void {
    const waiting = this.#room;
    this.#room = [];
    for (const resolve of waiting) resolve();
  }
}

function counters(u: Addon.NativeUpdate): JobCounters {
  const { bytes, totalBytes, files, totalFiles, directories, symlinks } = u;
  const { skippedFiles, skippedBytes, failedFiles, chunksRefetched, removedSources } = u;
  const { resumedFiles, resumedBytes, redoneFiles } = u;
  const seen = { bytes, totalBytes, files, totalFiles, directories, symlinks };
  const resumed = { resumedFiles, resumedBytes, redoneFiles };
  return { ...seen, ...resumed, skippedFiles, skippedBytes, failedFiles, chunksRefetched, removedSources };
}

/** Its `cause` is the engine's text. */
function jobError(e: Addon.NativeJobError): PbError {
  const path = e.path.length > 0 ? { path: e.path } : {};
  return nativeFailure({ code: e.code, message: e.message, cause: e.message, ...path });
}
