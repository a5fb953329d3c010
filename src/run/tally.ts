import type { JobProgress } from "../native/types.ts";

/** The counters of a transfer. */
export interface Counts {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly files: number;
  readonly totalFiles: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly skippedFiles: number;
  readonly skippedBytes: number;
  readonly failedFiles: number;
  readonly chunksRefetched: number;
  readonly removedSources: number;
  readonly resumedFiles: number;
  readonly resumedBytes: number;
  readonly redoneFiles: number;
}

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

/** Sums the counters of a transfer's jobs; each job reports its own, again and again. */
export class Tally {
  readonly #jobs = new Map<number, Counts>();
  /** Of jobs whose counters are final. */
  #settled: Counts = NO_COUNTS;

  update(job: number, counts: Counts): void {
    this.#jobs.set(job, counts);
  }

  /** The job's counters stay as they are; it costs no memory any more. */
  settle(job: number): void {
    const counts = this.#jobs.get(job);
    if (counts) this.#settled = sum([this.#settled, counts]);
    this.#jobs.delete(job);
  }

  get counts(): Counts {
    return sum([this.#settled, ...this.#jobs.values()]);
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
