import { lastOverFirstTenth } from "./lib/statistics.ts";
import { finishTimes } from "./lib/verify.ts";
import { warmMemory } from "./lib/warm.ts";
import type { OpenPeer, Peer, Place } from "./peer.ts";
import {
  empty,
  faithfulCopy,
  type Hosts,
  makePlace,
  type Run,
  type StoppedRun,
  timed,
  whyNot,
} from "./run.ts";
import type { Work } from "./work.ts";

export interface PeerRuns {
  readonly peer: Peer;
  readonly runs: readonly Run[];
  /** Why there are none: it cannot run here. */
  readonly skipped?: string;
  /** Why there are none: it did not do the work, or not faithfully. */
  readonly failed?: string;
  /** Where runs are bounded in time. */
  readonly stopped?: readonly StoppedRun[];
  /** High-water mark over all runs, where memory is watched. */
  readonly fromPeakBytes?: number;
  readonly toPeakBytes?: number;
}

export interface MeasureOptions {
  readonly rounds: number;
  readonly scratch: string;
  readonly hosts: Hosts;
  readonly endurance: boolean;
  readonly say: (line: string) => void;
  /** Of each program that is waited for; a peer that needs longer has failed. */
  readonly limitMs?: number;
}

interface Entrant {
  readonly peer: Peer;
  readonly runs: Run[];
  readonly skipped: string | undefined;
  failed?: string;
  place?: Place;
  open?: OpenPeer;
}

/**
 * Each peer runs once in every round, in turn, so that what else the machine does hits all of them. One run of each
 * goes before and is not counted. Every copy, of every run, is compared with the original byte by byte; where none is
 * to be left, nothing may be there.
 */
export async function measure(peers: readonly Peer[], work: Work, options: MeasureOptions) {
  const entrants: Entrant[] = peers.map((peer) => ({ peer, runs: [], skipped: whyNot(peer, work) }));
  const present = entrants.filter(({ skipped }) => skipped === undefined);
  try {
    for (const entrant of present) {
      const place = await makePlace(entrant.peer, work, { ...options, watchMemory: options.endurance });
      entrant.place = place;
      await attempt(entrant, options, async () => {
        entrant.open = await entrant.peer.open(place);
      });
    }
    for (let round = 0; round <= options.rounds; round += 1) {
      for (const entrant of present.filter(({ failed }) => failed === undefined)) {
        await attempt(entrant, options, async () => {
          await warmMemory(options.scratch, work.bytes);
          const run = await once(entrant, work, options.endurance);
          if (round > 0) entrant.runs.push(run);
          const what = round === 0 ? "warm-up" : `run ${round}`;
          options.say(`${what}: ${entrant.peer.name} ${run.seconds.toFixed(3)} s`);
        });
      }
    }
  } finally {
    for (const { place, open } of entrants)
      await Promise.all([place?.from.close(), place?.to.close(), open?.close?.()]);
  }
  return entrants.map((entrant) => result(entrant, options.endurance));
}

/** A peer that fails is out, with all its runs; the others go on. */
async function attempt(entrant: Entrant, { say }: MeasureOptions, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    entrant.failed = error instanceof Error ? error.message : String(error);
    say(`FAILED: ${entrant.peer.name}: ${entrant.failed}`);
    const { place, open } = entrant;
    await Promise.all([place?.from.close(), place?.to.close(), open?.close?.()]);
    if (place !== undefined) await empty(place.destination);
  }
}

async function once({ peer, place, open }: Entrant, work: Work, endurance: boolean): Promise<Run> {
  if (place === undefined || open === undefined) throw new Error(`${peer.name} is not open`);
  await open.prepare?.();
  const use = await timed({ open, place, work });
  const copy = faithfulCopy(peer, place, work);
  const lastOverFirst = endurance ? lastOverFirstTenth(finishTimes(copy)) : undefined;
  await empty(place.destination);
  return { ...use, ...(lastOverFirst === undefined ? {} : { lastOverFirst }) };
}

function result({ peer, runs, skipped, failed, place }: Entrant, endurance: boolean): PeerRuns {
  if (failed !== undefined) return { peer, runs: [], failed };
  if (skipped !== undefined || place === undefined) return { peer, runs, skipped: skipped ?? "not opened" };
  if (!endurance) return { peer, runs };
  return { peer, runs, fromPeakBytes: place.from.peakBytes(), toPeakBytes: place.to.peakBytes() };
}
