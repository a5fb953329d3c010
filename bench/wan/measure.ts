/** Runs every entrant over one link in turn, cold and warm, and keeps what the link counted. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Stopped } from "../lib/side.ts";
import { warmMemory } from "../lib/warm.ts";
import type { PeerRuns } from "../measure.ts";
import type { LinkCounters } from "../netlab/emulator.ts";
import type { Lab } from "../netlab/lab.ts";
import { since, whyVoid } from "../netlab/verdict.ts";
import type { Peer, Place } from "../peer.ts";
import {
  empty,
  faithfulCopy,
  type Hosts,
  type LinkUse,
  makePlace,
  type Run,
  type StoppedRun,
  timed,
  whyNot,
} from "../run.ts";
import type { Work } from "../work.ts";
import { type Entrant, useController } from "./entrants.ts";

export interface WanMeasureOptions {
  readonly rounds: number;
  readonly warm: boolean;
  readonly limitMs: number;
  readonly scratch: string;
  readonly hosts: Hosts;
  readonly say: (line: string) => void;
}

/** What an entrant did so far, in one of the states of its path. */
interface Tally {
  readonly peer: Peer;
  readonly runs: Run[];
  readonly stopped: StoppedRun[];
  failed?: string;
}

interface Lane {
  readonly entrant: Entrant;
  readonly skipped: string | undefined;
  /** Cold, and warm where that is measured. */
  readonly tallies: readonly Tally[];
}

/**
 * Every run begins with servers, keys and state of its own, so that the first one is cold. An entrant that was stopped once is not
 * tried again: it would be again.
 */
export async function measureWan(
  lab: Lab,
  what: { readonly entrants: readonly Entrant[]; readonly work: Work },
  options: WanMeasureOptions,
): Promise<readonly PeerRuns[]> {
  const lanes = what.entrants.map((entrant) => makeLane(entrant, what.work, options.warm));
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const lane of lanes) {
      const [cold] = lane.tallies;
      if (lane.skipped !== undefined || cold?.failed !== undefined || cold?.stopped.length !== 0) continue;
      await play(lab, lane, { ...options, work: what.work, round });
    }
  }
  return lanes.flatMap(({ tallies, skipped }) =>
    tallies.map((tally) => ({ ...tally, ...(skipped === undefined ? {} : { skipped }) })),
  );
}

function makeLane(entrant: Entrant, work: Work, warm: boolean): Lane {
  const { peer } = entrant;
  const tally = (title: string, name: string): Tally => ({
    peer: { ...peer, title, name },
    runs: [],
    stopped: [],
  });
  const again = warm && peer.role === "ours";
  return {
    entrant,
    skipped: whyNot(peer, work),
    tallies: [
      tally(peer.title, peer.name),
      ...(again ? [tally(`${peer.title}, warm`, `${peer.name}-warm`)] : []),
    ],
  };
}

async function play(
  lab: Lab,
  { entrant, tallies }: Lane,
  options: WanMeasureOptions & { readonly work: Work; readonly round: number },
): Promise<void> {
  const { work, round, say } = options;
  const place = await makePlace(entrant.peer, work, { ...options, watchMemory: false });
  let current = tallies[0];
  try {
    if (entrant.controller !== undefined) await useController(lab.hosts, entrant.controller);
    const open = await entrant.peer.open(place);
    for (const tally of tallies) {
      current = tally;
      await warmMemory(options.scratch, work.bytes);
      await open.prepare?.();
      const run = await counted(lab, () => timed({ open, place, work }));
      if ("bytes" in run) {
        tally.stopped.push(run);
        say(`run ${round}: ${tally.peer.name} stopped at ${run.seconds} s`);
        break;
      }
      faithfulCopy(tally.peer, place, work);
      await empty(place.destination);
      tally.runs.push(run);
      const why = run.link?.void === undefined ? "" : ` VOID: ${run.link.void}`;
      say(`run ${round}: ${tally.peer.name} ${run.seconds.toFixed(3)} s${why}`);
    }
  } catch (error) {
    if (current === undefined) throw error;
    current.failed = error instanceof Error ? error.message : String(error);
    say(`FAILED: ${current.peer.name}: ${current.failed}`);
  } finally {
    await discard(place, join(options.scratch, entrant.peer.name));
  }
}

/** With what the link did meanwhile. */
async function counted(lab: Lab, act: () => Promise<Run>): Promise<Run | StoppedRun> {
  const [link] = lab.links;
  const start = await link?.counters({ newPeaks: true });
  const used = async () => {
    const end = await link?.counters();
    return start === undefined || end === undefined ? undefined : since(start, end);
  };
  try {
    const run = await act();
    const use = await used();
    if (link === undefined || use === undefined) return run;
    const why = whyVoid(link.spec, use);
    return { ...run, link: { ...linkUse(use), ...(why === undefined ? {} : { void: why }) } };
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return { seconds: error.afterSeconds, bytes: (await used())?.forward.deliveredBytes ?? 0 };
  }
}

function linkUse({ forward, back }: LinkCounters): LinkUse {
  const queued = forward.packets - forward.lost - forward.droppedByQueue;
  return {
    bytes: forward.deliveredBytes,
    backBytes: back.deliveredBytes,
    queueMs: queued > 0 ? forward.queuedUs / queued / 1000 : 0,
    maxQueueBytes: forward.maxQueueBytes,
    droppedByQueue: forward.droppedByQueue,
    lost: forward.lost,
    maxLateMs: Math.max(forward.maxLateUs, back.maxLateUs) / 1000,
  };
}

async function discard({ from, to }: Place, folder: string): Promise<void> {
  await Promise.all([from.close(), to.close()]);
  await rm(folder, { recursive: true, force: true });
}
