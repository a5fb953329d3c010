import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Host, Side } from "./lib/side.ts";
import { lastOverFirstTenth } from "./lib/statistics.ts";
import { finishTimes, firstDifference } from "./lib/verify.ts";
import { warmMemory } from "./lib/warm.ts";
import type { OpenPeer, Peer, Place } from "./peer.ts";
import type { Work } from "./scenario.ts";

export interface Hosts {
  readonly from: Host;
  readonly to: Host;
}

export interface Run {
  /** Wall clock. */
  readonly seconds: number;
  /** User and system time of all processes of a side. */
  readonly fromCpuSeconds: number;
  readonly toCpuSeconds: number;
  /** Rate of the last tenth of the files over that of the first. */
  readonly lastOverFirst?: number;
}

export interface PeerRuns {
  readonly peer: Peer;
  readonly runs: readonly Run[];
  /** Why there are none: it cannot run here. */
  readonly skipped?: string;
  /** Why there are none: it did not do the work, or not faithfully. */
  readonly failed?: string;
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
 * goes before and is not counted. Every copy, of every run, is compared with the original byte by byte.
 */
export async function measure(peers: readonly Peer[], work: Work, options: MeasureOptions) {
  const entrants: Entrant[] = peers.map((peer) => ({ peer, runs: [], skipped: whyNot(peer, work) }));
  const present = entrants.filter(({ skipped }) => skipped === undefined);
  try {
    for (const entrant of present) {
      const place = await makePlace(entrant.peer, work, options);
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
    for (const { place } of entrants) await Promise.all([place?.from.close(), place?.to.close()]);
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
    const { place } = entrant;
    await Promise.all([place?.from.close(), place?.to.close()]);
    if (place !== undefined) await empty(place.destination);
  }
}

async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
}

function whyNot(peer: Peer, work: Work): string | undefined {
  return peer.kinds.includes(work.kind) ? peer.whyNot() : `does not copy a ${work.kind}`;
}

async function makePlace(peer: Peer, work: Work, options: MeasureOptions): Promise<Place> {
  const at = (name: string) => join(options.scratch, peer.name, name);
  for (const folder of ["destination", "scratch"]) await mkdir(at(folder), { recursive: true });
  const { hosts, endurance: watchMemory } = options;
  return {
    from: new Side({ host: hosts.from, other: hosts.to, folder: at("from"), watchMemory }),
    to: new Side({ host: hosts.to, other: hosts.from, folder: at("to"), watchMemory }),
    source: dirname(work.path),
    destination: at("destination"),
    scratch: at("scratch"),
  };
}

async function once({ peer, place, open }: Entrant, work: Work, endurance: boolean): Promise<Run> {
  if (place === undefined || open === undefined) throw new Error(`${peer.name} is not open`);
  const sides = [place.from, place.to];
  const before = sides.map((side) => ({ cpu: side.cpuSeconds(), processes: side.processes() }));
  const start = process.hrtime.bigint();
  await open.send(work);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  for (const [at, side] of sides.entries()) await side.settle(before[at]?.processes ?? 0);
  const [fromCpuSeconds = 0, toCpuSeconds = 0] = sides.map(
    (side, at) => side.cpuSeconds() - (before[at]?.cpu ?? 0),
  );

  const copy = join(place.destination, basename(work.path));
  const difference = firstDifference(work.path, copy);
  if (difference !== undefined) throw new Error(`${peer.name} did not copy faithfully: ${difference}`);
  const lastOverFirst = endurance ? lastOverFirstTenth(finishTimes(copy)) : undefined;
  await empty(place.destination);
  return { seconds, fromCpuSeconds, toCpuSeconds, ...(lastOverFirst === undefined ? {} : { lastOverFirst }) };
}

function result({ peer, runs, skipped, failed, place }: Entrant, endurance: boolean): PeerRuns {
  if (failed !== undefined) return { peer, runs: [], failed };
  if (skipped !== undefined || place === undefined) return { peer, runs, skipped: skipped ?? "not opened" };
  if (!endurance) return { peer, runs };
  return { peer, runs, fromPeakBytes: place.from.peakBytes(), toPeakBytes: place.to.peakBytes() };
}
