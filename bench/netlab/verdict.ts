/** Did a link give what was asked, or was the machine too slow for it? */
import type { LinkCounters, WayCounters } from "./emulator.ts";
import type { LinkSpec } from "./topology.ts";

/** Departures this late are in the noise of any network, whatever the round trip. */
const HARMLESS_LATE_MS = 10;
/** Of the round trip: what jitter of a long path may be before congestion control takes it for a queue (BBRv3 and HyStart++ use eighths). */
const HARMLESS_SHARE = 1 / 8;
/** A NIC's ring of 4096 packets at 1 Gbit/s holds 49 ms. */
const RING_MS = 49;

/** Why a measurement over the link since the last new peaks counts for nothing; undefined when it does count. */
export function whyVoid(link: LinkSpec, counters: LinkCounters): string | undefined {
  const roundTripMs = link.forward.delayMs + link.back.delayMs;
  const harmlessMs = Math.max(HARMLESS_LATE_MS, roundTripMs * HARMLESS_SHARE);
  const of = (pick: (way: WayCounters) => number) => Math.max(pick(counters.forward), pick(counters.back));
  const dropped = of((way) => way.droppedByRing) + of((way) => way.failedWrites);
  const [lateMs, heldMs] = [of((way) => way.maxLateUs) / 1000, of((way) => way.maxHeldUs) / 1000];
  if (dropped > 0) return `the emulator dropped ${dropped} packets`;
  if (lateMs > harmlessMs) return `the emulator was ${lateMs.toFixed(0)} ms late`;
  if (heldMs > RING_MS) return `a host left packets waiting for ${heldMs.toFixed(0)} ms`;
  return undefined;
}

/** What happened between two answers; maxima are the later one's. */
export function since(before: LinkCounters, after: LinkCounters): LinkCounters {
  return { forward: sinceWay(before.forward, after.forward), back: sinceWay(before.back, after.back) };
}

const PEAKS: ReadonlySet<string> = new Set(["maxLateUs", "maxHeldUs", "maxQueueBytes"]);

function sinceWay(before: WayCounters, after: WayCounters): WayCounters {
  const result = { ...after };
  for (const name of Object.keys(after) as (keyof WayCounters)[]) {
    if (!PEAKS.has(name)) result[name] = after[name] - before[name];
  }
  return result;
}
