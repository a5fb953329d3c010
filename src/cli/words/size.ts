import { PbError } from "../../model/error.ts";

const BINARY = ["", "k", "m", "g", "t", "p"];

/** What the help says about sizes; one text for every option that takes one. */
export const SIZE_HELP =
  "SIZE: bytes, or with K M G T P (also Ki, KiB: powers of 1024) or KB MB GB (powers of 1000)";

/**
 * A size in bytes: `4096`, `64K` = `64Ki` = `64KiB` (powers of 1024), `64KB` (powers of 1000), `2.5G`; case does not matter.
 *
 * @throws PbError `usage` naming the flag
 */
export function parseSize(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(ib|i|b)?$/i.exec(text.trim());
  const exponent = BINARY.indexOf((match?.[2] ?? "").toLowerCase());
  if (!match || exponent < 0) {
    throw new PbError(
      "usage",
      `${flag}: "${text}" is not a size; write bytes or a number with K, M, G or T`,
      {
        peer: flag,
      },
    );
  }
  const decimal = exponent > 0 && match[3]?.toLowerCase() === "b";
  const bytes = Math.round(Number(match[1]) * (decimal ? 1000 : 1024) ** exponent);
  if (!Number.isSafeInteger(bytes))
    throw new PbError("usage", `${flag}: ${text} is too large`, { peer: flag });
  return bytes;
}

/**
 * A rate in bytes per second: a size (`100M`, `100MB/s`), or decimal bits (`1Gbit`, `100Mbps`, `100Mbit/s`); `off` is 0, no limit.
 *
 * @throws PbError `usage` naming the flag
 */
export function parseRate(text: string, flag: string): number {
  const word = text.trim();
  if (word === "off" || word === "0") return 0;
  const bits = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:bit(?:\/s)?|bps)$/i.exec(word);
  const rate = bits
    ? Math.round((Number(bits[1]) * 1000 ** BINARY.indexOf((bits[2] ?? "").toLowerCase())) / 8)
    : parseBytesPerSecond(word, flag);
  if (rate < 1) throw new PbError("usage", `${flag}: ${text} is less than a byte a second`, { peer: flag });
  return rate;
}

function parseBytesPerSecond(word: string, flag: string): number {
  try {
    return parseSize(word.replace(/\/s$/i, ""), flag);
  } catch (cause) {
    throw new PbError(
      "usage",
      `${flag}: "${word}" is not a rate; write bytes a second (100M) or bits (1Gbit)`,
      {
        peer: flag,
        cause,
      },
    );
  }
}
