/** One run of one peer: where, how long, at what cost, and whether the copy is the original. */
import { readdirSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Host, Side } from "./lib/side.ts";
import { firstDifference } from "./lib/verify.ts";
import type { OpenPeer, Peer, Place } from "./peer.ts";
import type { Work } from "./work.ts";

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
  /** What an emulated link did meanwhile. */
  readonly link?: LinkUse;
}

export interface LinkUse {
  /** Delivered, Ethernet frames, in the direction of the data and against it. */
  readonly bytes: number;
  readonly backBytes: number;
  /** What a packet waited in the queue on average. */
  readonly queueMs: number;
  readonly maxQueueBytes: number;
  readonly droppedByQueue: number;
  readonly lost: number;
  readonly maxLateMs: number;
  /** Why the run counts for nothing: the machine was too slow for the link. */
  readonly void?: string;
}

/** A run that took longer than it may. */
export interface StoppedRun {
  readonly seconds: number;
  /** That had come out of the link, Ethernet frames. */
  readonly bytes: number;
}

export interface PlaceOptions {
  readonly scratch: string;
  readonly hosts: Hosts;
  readonly watchMemory: boolean;
  /** Of each program that is waited for; SIGKILL after it. */
  readonly limitMs?: number;
}

export function whyNot(peer: Peer, work: Pick<Work, "kind">): string | undefined {
  return peer.kinds.includes(work.kind) ? peer.whyNot() : `does not copy a ${work.kind}`;
}

export async function makePlace(peer: Pick<Peer, "name">, work: Work, options: PlaceOptions): Promise<Place> {
  const at = (name: string) => join(options.scratch, peer.name, name);
  for (const folder of ["destination", "scratch"]) await mkdir(at(folder), { recursive: true });
  const { hosts, watchMemory, limitMs } = options;
  const side = (host: Host, other: Host, folder: string) =>
    new Side({ host, other, folder: at(folder), watchMemory, ...(limitMs === undefined ? {} : { limitMs }) });
  return {
    from: side(hosts.from, hosts.to, "from"),
    to: side(hosts.to, hosts.from, "to"),
    source: dirname(work.path),
    destination: at("destination"),
    scratch: at("scratch"),
  };
}

export async function timed(what: { open: OpenPeer; place: Place; work: Work }): Promise<Run> {
  const sides = [what.place.from, what.place.to];
  const before = sides.map((side) => ({ cpu: side.cpuSeconds(), processes: side.processes() }));
  const start = process.hrtime.bigint();
  await what.open.send(what.work);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  for (const [at, side] of sides.entries()) await side.settle(before[at]?.processes ?? 0);
  const [fromCpuSeconds = 0, toCpuSeconds = 0] = sides.map(
    (side, at) => side.cpuSeconds() - (before[at]?.cpu ?? 0),
  );
  return { seconds, fromCpuSeconds, toCpuSeconds };
}

/** Its path. @throws Error when it is not the original */
export function faithfulCopy(
  { name, role }: Pick<Peer, "name" | "role">,
  { destination }: Place,
  work: Work,
): string {
  const copy = join(destination, basename(work.path));
  const difference = role === "gauge" ? whatIsIn(destination) : firstDifference(work.path, copy);
  if (difference !== undefined) throw new Error(`${name} did not copy faithfully: ${difference}`);
  return copy;
}

/** Where nothing is to be left. */
function whatIsIn(folder: string): string | undefined {
  const [first] = readdirSync(folder);
  return first === undefined ? undefined : `${join(folder, first)} is there, and nothing should be`;
}

export async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
}
