import { PbError } from "../../model/error.ts";

/** Seconds. A month is 30 days, a year 365, as in rclone. */
const UNITS: Readonly<Record<string, number>> = {
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 7 * 86_400,
  M: 30 * 86_400,
  y: 365 * 86_400,
};

/**
 * Seconds: `90`, `1h30m`, `10m`, `2d`, `1.5h`; `M` is a month, `m` a minute.
 *
 * @throws PbError `usage` naming the flag
 */
export function parseDuration(text: string, flag: string): number {
  const word = text.trim();
  if (/^\d+(\.\d+)?$/.test(word)) return Number(word);
  let seconds = 0;
  let rest = word;
  while (rest !== "") {
    const match = /^(\d+(?:\.\d+)?)(ms|[smhdwMy])/.exec(rest);
    if (!match) throw notDuration(text, flag);
    seconds += Number(match[1]) * (UNITS[match[2] ?? ""] ?? 0);
    rest = rest.slice(match[0].length);
  }
  if (word === "") throw notDuration(text, flag);
  return seconds;
}

function notDuration(text: string, flag: string): PbError {
  return new PbError(
    "usage",
    `${flag}: "${text}" is not a duration; write 90s, 10m, 1h30m, 2d, 1w, 1M or 1y`,
    {
      peer: flag,
    },
  );
}

/** An age in whole seconds: a duration, or a date (`2026-01-31`, ISO 8601) counted back from `nowMs`. */
export function parseAge(text: string, flag: string, nowMs: number): number {
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return Math.floor(parseDuration(text, flag));
  const date = Date.parse(text);
  if (Number.isNaN(date)) throw notDuration(text, flag);
  if (date > nowMs) throw new PbError("usage", `${flag}: ${text} is in the future`, { peer: flag });
  return Math.floor((nowMs - date) / 1000);
}

const NS_PER_S = 1_000_000_000n;

/**
 * A moment in nanoseconds since 1970: ISO 8601 (fractions to the nanosecond; without a zone: local time), or `@SECONDS[.FRACTION]`.
 *
 * @throws PbError `usage` naming the flag
 */
export function parseMoment(text: string, flag: string): bigint {
  const epoch = /^@(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (epoch) {
    const ns = BigInt(epoch[2] ?? "0") * NS_PER_S + fractionNs(epoch[3]);
    return epoch[1] === "-" ? -ns : ns;
  }
  const iso = /^(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  // A date alone would be read as UTC, a date with a time as local; local is meant for both.
  const base = iso?.[1]?.length === 10 && !iso[3] ? `${iso[1]}T00:00` : (iso?.[1] ?? "");
  const ms = iso ? Date.parse(base.replace(" ", "T") + (iso[3] ?? "")) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new PbError(
      "usage",
      `${flag}: "${text}" is not a time; write 2026-01-31T12:00:00Z or @1769860800`,
      {
        peer: flag,
      },
    );
  }
  return BigInt(ms) * 1_000_000n + fractionNs(iso?.[2]);
}

function fractionNs(digits: string | undefined): bigint {
  return BigInt((digits ?? "").padEnd(9, "0"));
}
