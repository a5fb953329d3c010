import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { differences } from "../test/e2e/lib/tree.ts";
import type { OpenPeer, Peer, Place } from "./peer.ts";
import type { Work } from "./scenario.ts";

export interface PeerRuns {
  readonly peer: string;
  readonly title: string;
  /** Wall-clock seconds of each run; empty when it was skipped. */
  readonly seconds: readonly number[];
  readonly skipped?: string;
}

/**
 * Each peer runs once in every round, in turn, so that what else the machine does hits all of them. One run of each goes
 * before and is not counted; its result is compared with the source byte by byte.
 */
export async function measure(
  peers: readonly Peer[],
  work: Work,
  options: { readonly rounds: number; readonly scratch: string; readonly say: (line: string) => void },
): Promise<PeerRuns[]> {
  const runs = peers.map((peer) => ({ peer, why: peer.whyNot(), seconds: [] as number[] }));
  const opened: { run: (typeof runs)[number]; place: Place; open: OpenPeer }[] = [];
  try {
    for (const run of runs.filter(({ why }) => why === undefined)) {
      const place = await makePlace(options.scratch, run.peer.name);
      opened.push({ run, place, open: await run.peer.open(place) });
    }
    for (let round = -1; round < options.rounds; round += 1) {
      for (const { run, place, open } of opened) {
        const seconds = await once(open, work);
        if (round < 0) await verify(run.peer, work, place);
        else run.seconds.push(seconds);
        if (round >= 0) options.say(`round ${round + 1}: ${run.peer.name} ${seconds.toFixed(3)} s`);
        await empty(place.destination);
      }
    }
  } finally {
    for (const { open } of opened) await open.close();
  }
  return runs.map(({ peer, why, seconds }) => ({
    peer: peer.name,
    title: peer.title,
    seconds,
    ...(why === undefined ? {} : { skipped: why }),
  }));
}

async function makePlace(base: string, name: string): Promise<Place> {
  const destination = join(base, name, "destination");
  const scratch = join(base, name, "scratch");
  for (const folder of [destination, scratch]) await mkdir(folder, { recursive: true });
  return { source: join(base, "source"), destination, scratch };
}

async function once(open: OpenPeer, work: Work): Promise<number> {
  const start = process.hrtime.bigint();
  await open.send(work);
  return Number(process.hrtime.bigint() - start) / 1e9;
}

async function verify(peer: Peer, work: Work, place: Place): Promise<void> {
  const arrived = join(place.destination, basename(work.path));
  const found = await differences(work.path, arrived, { modes: false, times: false, holes: false });
  if (found.length > 0)
    throw new Error(`${peer.name} did not copy faithfully: ${found.slice(0, 5).join("; ")}`);
}

async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
}
