/** Counters of what a daemon's transfers did, from their events. Held in memory; exporters read the snapshot. */

import type { Progress, Receipt, StartResponse } from "../gen/packetboat/v1/transfer_pb.ts";
import type { CheckpointStats } from "../model/checkpoint.ts";

export interface MetricsSnapshot {
  readonly jobsStarted: number;
  readonly jobsRunning: number;
  /** By the receipt's state; a transfer that could not begin, or left no receipt, is "failed". */
  readonly jobsEnded: Readonly<Record<JobState, number>>;
  /** Payload bytes verified at destinations, of running jobs too. */
  readonly bytes: number;
  readonly files: number;
  readonly skippedFiles: number;
  readonly removedSources: number;
  readonly retransmittedBytes: number;
  readonly chunksRefetched: number;
  /** By error code. */
  readonly errors: Readonly<Record<string, number>>;
  readonly notices: Readonly<Record<string, number>>;
  /** Sum over ended jobs; with `jobsEnded` the mean. */
  readonly seconds: number;
  /** Ended jobs by duration: how many took at most this many seconds, cumulative as in Prometheus. */
  readonly durations: readonly { readonly atMostSeconds: number; readonly jobs: number }[];
  /** Of running jobs that receive here: queue, age of what waits, latency histogram, bytes and syncs a second. */
  readonly checkpoints: readonly CheckpointStats[];
}

export const JOB_STATES = ["done", "partial", "failed", "aborted", "paused", "cancelled"] as const;
export type JobState = (typeof JOB_STATES)[number];

/** From a small file to a day of bulk. */
const DURATION_BOUNDS_SECONDS = [0.1, 1, 10, 60, 600, 3_600, 36_000, Number.POSITIVE_INFINITY] as const;

interface Running {
  bytes: number;
  files: number;
}

export class Metrics {
  readonly #running = new Map<string, Running>();
  readonly #checkpoints = new Set<() => CheckpointStats | undefined>();
  readonly #ended: Record<JobState, number> = {
    done: 0,
    partial: 0,
    failed: 0,
    aborted: 0,
    paused: 0,
    cancelled: 0,
  };
  readonly #errors = new Map<string, number>();
  readonly #notices = new Map<string, number>();
  readonly #durations = DURATION_BOUNDS_SECONDS.map((atMostSeconds) => ({ atMostSeconds, jobs: 0 }));
  #started = 0;
  #seconds = 0;
  #totals = {
    bytes: 0,
    files: 0,
    skippedFiles: 0,
    removedSources: 0,
    retransmittedBytes: 0,
    chunksRefetched: 0,
  };

  /** Counts a checkpoint while its job runs; the result takes it out. */
  watchCheckpoint(stats: () => CheckpointStats | undefined): () => void {
    this.#checkpoints.add(stats);
    return () => {
      this.#checkpoints.delete(stats);
    };
  }

  /** Passes a job's events on and counts them. */
  async *observe(jobId: string, events: AsyncIterable<StartResponse>): AsyncGenerator<StartResponse> {
    this.#started += 1;
    this.#running.set(jobId, { bytes: 0, files: 0 });
    const startedMs = performance.now();
    try {
      for await (const event of events) {
        this.#count(jobId, event);
        yield event;
      }
    } finally {
      if (this.#running.has(jobId)) {
        const unfinished = this.#running.get(jobId);
        this.#totals.bytes += unfinished?.bytes ?? 0;
        this.#totals.files += unfinished?.files ?? 0;
        this.#end(jobId, "failed", (performance.now() - startedMs) / 1_000);
      }
    }
  }

  snapshot(): MetricsSnapshot {
    const running = [...this.#running.values()];
    return {
      jobsStarted: this.#started,
      jobsRunning: running.length,
      jobsEnded: { ...this.#ended },
      ...this.#totals,
      bytes: this.#totals.bytes + running.reduce((sum, { bytes }) => sum + bytes, 0),
      files: this.#totals.files + running.reduce((sum, { files }) => sum + files, 0),
      errors: Object.fromEntries(this.#errors),
      notices: Object.fromEntries(this.#notices),
      seconds: this.#seconds,
      durations: this.#durations.map((bound) => ({ ...bound })),
      checkpoints: [...this.#checkpoints].flatMap((stats) => stats() ?? []),
    };
  }

  #count(jobId: string, { event }: StartResponse): void {
    if (event.case === "progress") this.#progress(jobId, event.value);
    else if (event.case === "error") add(this.#errors, event.value.code);
    else if (event.case === "notice") add(this.#notices, event.value.code);
    else if (event.case === "receipt") this.#receipt(jobId, event.value);
  }

  #progress(jobId: string, { bytes, files }: Progress): void {
    const running = this.#running.get(jobId);
    if (!running) return;
    running.bytes = Number(bytes);
    running.files = Number(files);
  }

  #receipt(jobId: string, receipt: Receipt): void {
    const totals = this.#totals;
    totals.bytes += Number(receipt.bytes);
    totals.files += Number(receipt.files);
    totals.skippedFiles += Number(receipt.skippedFiles);
    totals.removedSources += Number(receipt.removedSources);
    totals.retransmittedBytes += Number(receipt.retransmittedBytes);
    totals.chunksRefetched += Number(receipt.chunksRefetched);
    const state = JOB_STATES.find((each) => each === receipt.state) ?? "failed";
    this.#end(jobId, state, receipt.seconds);
  }

  #end(jobId: string, state: JobState, seconds: number): void {
    if (!this.#running.delete(jobId)) return;
    this.#ended[state] += 1;
    this.#seconds += seconds;
    for (const bound of this.#durations) if (seconds <= bound.atMostSeconds) bound.jobs += 1;
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
