/** What the bytes of two flows, sampled once a second, say about how they share. Pure. */

/** Bytes that came in each second. */
export interface Series {
  readonly one: readonly number[];
  readonly other: readonly number[];
}

export interface Sharing {
  /** Bits per second of frames at the receivers, over the time looked at. */
  readonly oneBitsPerSec: number;
  readonly otherBitsPerSec: number;
  /** Jain, Chiu, Hawe 1984: 1 when equal, 0.5 when one of two has all. */
  readonly jain: number;
}

/** `from`, `to`: seconds, the second at `to` not included. */
export function sharing(series: Series, from: number, to: number): Sharing {
  const [one, other] = [mean(series.one, from, to) * 8, mean(series.other, from, to) * 8];
  const squares = 2 * (one ** 2 + other ** 2);
  return { oneBitsPerSec: one, otherBitsPerSec: other, jain: squares > 0 ? (one + other) ** 2 / squares : 1 };
}

function mean(values: readonly number[], from: number, to: number): number {
  const part = values.slice(from, to);
  return part.length === 0 ? 0 : part.reduce((sum, value) => sum + value, 0) / part.length;
}

export interface Yielding {
  /** Seconds after the other flow began until it first had nine tenths of what came in a second; undefined: never. */
  readonly yieldedAfterSeconds: number | undefined;
  /** The other's share of what came, from ten seconds after it began (or half its time) until it ended. */
  readonly othersShare: number;
  /** Seconds after the other's end until ours had four fifths of the rate; undefined: never. */
  readonly backAfterSeconds: number | undefined;
}

const YIELDED = 0.9;
const TAKEN_BACK = 0.8;
const SETTLE_SECONDS = 10;

/** `one` gives way to `other`, which sends from second `start` to `end`. */
export function yielding(
  { one, other }: Series,
  when: { readonly start: number; readonly end: number; readonly rateBitsPerSec: number },
): Yielding {
  const { start, end, rateBitsPerSec } = when;
  const othersPart = (at: number) => (other[at] ?? 0) / Math.max(1, (one[at] ?? 0) + (other[at] ?? 0));
  const settled = start + Math.min(SETTLE_SECONDS, Math.floor((end - start) / 2));
  const [ours, theirs] = [mean(one, settled, end), mean(other, settled, end)];
  const first = (from: number, to: number, is: (at: number) => boolean) => {
    for (let at = from; at < to; at += 1) if (is(at)) return at - from;
    return undefined;
  };
  return {
    yieldedAfterSeconds: first(start, end, (at) => othersPart(at) >= YIELDED),
    othersShare: theirs / Math.max(1, ours + theirs),
    backAfterSeconds: first(end, one.length, (at) => (one[at] ?? 0) * 8 >= TAKEN_BACK * rateBitsPerSec),
  };
}
