export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Of an even number of values, the median is the mean of the middle two. */
export function summary(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) throw new Error("a summary needs at least one value");
  const middle = sorted.length / 2;
  const [below = min, above = min] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return { median: (below + above) / 2, min, max };
}

/**
 * How the rate of the last tenth compares with that of the first, from the times at which files were finished.
 * @param times any unit, any order; at least 20
 * @returns last over first: 1 is flat, 0.5 is half as fast at the end; undefined when the times cannot tell
 */
export function lastOverFirstTenth(times: readonly number[]): number | undefined {
  const sorted = Float64Array.from(times).sort();
  const tenth = Math.floor(sorted.length / 10);
  if (tenth < 2) return undefined;
  const took = (from: number, to: number) => (sorted[to] ?? 0) - (sorted[from] ?? 0);
  const first = took(0, tenth - 1);
  const last = took(sorted.length - tenth, sorted.length - 1);
  return first > 0 && last > 0 ? first / last : undefined;
}
