import { utimes } from "node:fs/promises";

/** Beyond what is kept, this long: an age that says the clock was set, not that time went by. */
const IMPLAUSIBLE_MS = 365 * 86_400_000;

export interface AgeLimit {
  /** Of the file whose time counts. */
  readonly mtimeMs: number;
  readonly nowMs: number;
  readonly keepMs: number;
}

/**
 * Is something past its time? A clock that was set years off must neither expire everything nor keep everything: an age that no
 * clock in order would give is "implausible", and the file then gets the time of now.
 */
export function ageOf({ mtimeMs, nowMs, keepMs }: AgeLimit): "fresh" | "expired" | "implausible" {
  const age = nowMs - mtimeMs;
  // File systems round times, some to two seconds.
  if (age < -2_000 || age > keepMs + IMPLAUSIBLE_MS) return "implausible";
  return age > keepMs ? "expired" : "fresh";
}

/** For people a file's time means nothing here: it is only what its age counts from. */
export async function stamp(path: string, now = new Date()): Promise<void> {
  await utimes(path, now, now).catch(() => undefined);
}
