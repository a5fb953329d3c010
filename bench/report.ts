import { spawnSync } from "node:child_process";
import { arch, cpus, release } from "node:os";
import type { Host } from "./lib/side.ts";
import { type Summary, summary } from "./lib/statistics.ts";
import type { PeerRuns } from "./measure.ts";
import type { Peer } from "./peer.ts";
import type { Hosts, LinkUse, Run, StoppedRun } from "./run.ts";
import type { Charted, Work } from "./work.ts";

/** What `--json` writes, one for each scenario. Seconds and bytes; rates in `work.unit`. */
export interface Report {
  readonly scenario: string;
  readonly chart: Charted;
  readonly work: Omit<Work, "path">;
  readonly hosts: Hosts;
  readonly folder: string;
  readonly machine: Machine;
  /** The emulated link, where there is one. */
  readonly link?: LinkReport;
  readonly rows: readonly Row[];
}

export interface LinkReport {
  readonly title: string;
  /** Ethernet frames, in the direction of the data. */
  readonly rateBitsPerSec: number;
  /** What TCP without options gets through it at most. */
  readonly payloadBitsPerSec: number;
  /** What iperf3 got through it. */
  readonly given: string;
}

export interface Row extends Pick<Peer, "name" | "title" | "role" | "sealed"> {
  readonly skipped?: string;
  readonly failed?: string;
  /** The first run that was stopped; there are none after it. */
  readonly stopped?: StoppedRun;
  readonly runs: readonly Run[];
  readonly figures?: Figures;
}

export interface Figures {
  readonly seconds: Summary;
  /** In the work's unit, at the median. */
  readonly rate: number;
  /** Rate over that of the fastest peer that is not ours. */
  readonly toBestPeer?: number;
  /** Rate over that of `cp` in the same rounds. */
  readonly toCp?: number;
  /** Median CPU seconds per GiB. */
  readonly fromCpuPerGib: number;
  readonly toCpuPerGib: number;
  readonly cpuPerGib: number;
  readonly fromPeakBytes?: number;
  readonly toPeakBytes?: number;
  readonly lastOverFirst?: number;
  readonly link?: LinkFigures;
}

/** Medians, of an emulated link. */
export interface LinkFigures {
  /** Whole transfer over the link's payload rate. */
  readonly share: number;
  /** Frames against the direction of the data over those in it, bytes. */
  readonly backShare: number;
  /** What a packet waited in the queue on average. */
  readonly queueMs: number;
  /** Runs that count for nothing; they are not in the figures unless there are no others. */
  readonly voids: number;
  readonly maxLateMs: number;
}

interface Machine {
  readonly cpus: number;
  readonly model: string;
  readonly kernel: string;
  readonly node: string;
  /** net.ipv4.tcp_…, as the sender's namespace has them. */
  readonly tcp: Readonly<Record<string, string>>;
}

export interface Played {
  readonly work: Work;
  readonly hosts: Hosts;
  readonly folder: string;
  readonly runs: readonly PeerRuns[];
  readonly link?: LinkReport;
}

export function makeReport(
  scenario: { readonly name: string; readonly chart: Charted },
  played: Played,
): Report {
  const { path: _, ...work } = played.work;
  const rates = played.runs.map(({ peer, runs }) => ({
    role: peer.role,
    rate: rateOf(counting(runs), work),
  }));
  const best = (role: Peer["role"]) => {
    const found = rates.filter((one) => one.role === role).map(({ rate }) => rate ?? 0);
    return Math.max(0, ...found);
  };
  const compared = { peer: best("peer"), cp: best("baseline") };
  return {
    scenario: scenario.name,
    chart: scenario.chart,
    work,
    hosts: played.hosts,
    folder: played.folder,
    machine: machine(played.hosts.from),
    ...(played.link === undefined ? {} : { link: played.link }),
    rows: played.runs.map((runs) => makeRow(runs, { work, best: compared, link: played.link })),
  };
}

/** Runs during which the link was what it should be; all, if there are none of them. */
function counting(runs: readonly Run[]): readonly Run[] {
  const valid = runs.filter(({ link }) => link?.void === undefined);
  return valid.length > 0 ? valid : runs;
}

interface Compared {
  readonly work: Omit<Work, "path">;
  readonly best: { readonly peer: number; readonly cp: number };
  readonly link: LinkReport | undefined;
}

function makeRow(all: PeerRuns, { work, best, link }: Compared): Row {
  const { name, title, role, sealed } = all.peer;
  const [stopped] = all.stopped ?? [];
  const row: Row = {
    name,
    title,
    role,
    sealed,
    runs: all.runs,
    ...(stopped === undefined ? {} : { stopped }),
  };
  const runs = counting(all.runs);
  const rate = rateOf(runs, work);
  if (all.failed !== undefined) return { ...row, failed: all.failed };
  if (rate === undefined) return stopped === undefined ? { ...row, skipped: all.skipped ?? "no runs" } : row;
  const gib = work.bytes / 2 ** 30;
  const median = (value: (run: Run) => number) => summary(runs.map(value)).median;
  const flat = runs.flatMap(({ lastOverFirst }) => lastOverFirst ?? []);
  const figures: Figures = {
    seconds: summary(runs.map(({ seconds }) => seconds)),
    rate,
    ...(best.peer > 0 && role !== "gauge" ? { toBestPeer: rate / best.peer } : {}),
    ...(best.cp > 0 && role !== "gauge" ? { toCp: rate / best.cp } : {}),
    fromCpuPerGib: median(({ fromCpuSeconds }) => fromCpuSeconds) / gib,
    toCpuPerGib: median(({ toCpuSeconds }) => toCpuSeconds) / gib,
    cpuPerGib: median(({ fromCpuSeconds, toCpuSeconds }) => fromCpuSeconds + toCpuSeconds) / gib,
    ...(all.fromPeakBytes === undefined ? {} : { fromPeakBytes: all.fromPeakBytes }),
    ...(all.toPeakBytes === undefined ? {} : { toPeakBytes: all.toPeakBytes }),
    ...(flat.length === 0 ? {} : { lastOverFirst: summary(flat).median }),
    ...(link === undefined ? {} : { link: linkFigures(all.runs, (work.bytes * 8) / link.payloadBitsPerSec) }),
  };
  return { ...row, figures };
}

/** `idealSeconds`: of the whole transfer at the link's payload rate. */
function linkFigures(all: readonly Run[], idealSeconds: number): LinkFigures {
  const runs = counting(all);
  const median = (value: (use: LinkUse) => number) =>
    summary(runs.map(({ link }) => (link === undefined ? 0 : value(link)))).median;
  return {
    share: idealSeconds / summary(runs.map(({ seconds }) => seconds)).median,
    backShare: median(({ bytes, backBytes }) => (bytes > 0 ? backBytes / bytes : 0)),
    queueMs: median(({ queueMs }) => queueMs),
    voids: all.filter(({ link }) => link?.void !== undefined).length,
    maxLateMs: Math.max(...runs.map(({ link }) => link?.maxLateMs ?? 0)),
  };
}

function rateOf(runs: readonly Run[], work: Pick<Work, "bytes" | "files" | "unit">): number | undefined {
  if (runs.length === 0) return undefined;
  const amount = work.unit === "Gbit/s" ? (work.bytes * 8) / 1e9 : work.files;
  return amount / summary(runs.map(({ seconds }) => seconds)).median;
}

function machine(sender: Host): Machine {
  const tcp = ["tcp_congestion_control", "tcp_rmem", "tcp_wmem"].map((name) => [name, sysctl(name, sender)]);
  return {
    cpus: cpus().length,
    model: cpus()[0]?.model ?? arch(),
    kernel: release(),
    node: process.versions.node,
    tcp: Object.fromEntries(tcp),
  };
}

function sysctl(name: string, { namespace }: Host): string {
  const inside = namespace === undefined ? [] : ["ip", "netns", "exec", namespace];
  const [file = "", ...args] = [...inside, "cat", `/proc/sys/net/ipv4/${name}`];
  const { status, stdout } = spawnSync(file, args, { encoding: "utf8" });
  return status === 0 ? stdout.trim().replace(/\s+/g, " ") : "unknown";
}
