import type { JobCounters, JobProgress } from "../native/types.ts";

/** The counters of a transfer: of its jobs together. */
export type Counts = JobCounters;

export const NO_COUNTS: Counts = {
  bytes: 0,
  totalBytes: 0,
  files: 0,
  totalFiles: 0,
  directories: 0,
  symlinks: 0,
  skippedFiles: 0,
  skippedBytes: 0,
  failedFiles: 0,
  chunksRefetched: 0,
  removedSources: 0,
  resumedFiles: 0,
  resumedBytes: 0,
  redoneFiles: 0,
};

const KEYS = Object.keys(NO_COUNTS) as (keyof Counts)[];

/** What an attempt's counters do not tell of the attempts before it. */
const ADDED_UP = ["chunksRefetched", "removedSources", "redoneFiles"] as const;

/** Sums the counters of a transfer's jobs; each job reports its own, again and again. */
export class Tally {
  readonly #jobs = new Map<number, Counts>();
  /** Of jobs whose counters are final. */
  #settled: Counts = NO_COUNTS;
  /** Of attempts that were lost. */
  #earlier: Counts = NO_COUNTS;
  readonly #moves: boolean;

  /** @param moves sources go: an attempt does not find those again that an earlier one has moved */
  constructor(moves = false) {
    this.#moves = moves;
  }

  update(job: number, counts: Counts): void {
    this.#jobs.set(job, counts);
  }

  /** The job's counters stay as they are; it costs no memory any more. */
  settle(job: number): void {
    const counts = this.#jobs.get(job);
    if (counts) this.#settled = sum([this.#settled, counts]);
    this.#jobs.delete(job);
  }

  /** What follows is of another attempt. */
  nextAttempt(): void {
    this.#earlier = this.total;
    this.#settled = NO_COUNTS;
    this.#jobs.clear();
  }

  /** Of this attempt. */
  get counts(): Counts {
    return sum([this.#settled, ...this.#jobs.values()]);
  }

  /** Of all attempts together. A copy's last attempt tells of the whole; what was durable before is in its counters. */
  get total(): Counts {
    const last = this.counts;
    const total: Record<keyof Counts, number> = { ...last };
    for (const key of ADDED_UP) total[key] += this.#earlier[key];
    if (!this.#moves) return total;
    const { bytes, files, removedSources } = this.#earlier;
    total.bytes += Math.max(0, bytes - last.resumedBytes);
    total.files += Math.max(removedSources, files - last.resumedFiles, 0);
    return total;
  }
}

function sum(all: readonly Counts[]): Counts {
  const total: Record<keyof Counts, number> = { ...NO_COUNTS };
  for (const counts of all) for (const key of KEYS) total[key] += counts[key];
  return total;
}

/** The counters of a job without its errors. */
export function countsOf(progress: JobProgress): Counts {
  const counts: Record<keyof Counts, number> = { ...NO_COUNTS };
  for (const key of KEYS) counts[key] = progress[key];
  return counts;
}
