import { spawnSync } from "node:child_process";
import { arch, cpus, release } from "node:os";
import type { Host } from "./lib/side.ts";
import { type Summary, summary } from "./lib/statistics.ts";
import type { Hosts, PeerRuns, Run } from "./measure.ts";
import type { Peer } from "./peer.ts";
import type { Scenario, Work } from "./scenario.ts";

/** What `--json` writes, one for each scenario. Seconds and bytes; rates in `work.unit`. */
export interface Report {
  readonly scenario: string;
  readonly chart: Scenario["chart"];
  readonly work: Omit<Work, "path">;
  readonly hosts: Hosts;
  readonly folder: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
}

export interface Row extends Pick<Peer, "name" | "title" | "role" | "sealed"> {
  readonly skipped?: string;
  readonly failed?: string;
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
}

export function makeReport(scenario: Pick<Scenario, "name" | "chart">, played: Played): Report {
  const { path: _, ...work } = played.work;
  const rates = played.runs.map(({ peer, runs }) => ({ role: peer.role, rate: rateOf(runs, work) }));
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
    rows: played.runs.map((runs) => makeRow(runs, work, compared)),
  };
}

function makeRow(
  all: PeerRuns,
  work: Omit<Work, "path">,
  best: { readonly peer: number; readonly cp: number },
): Row {
  const { name, title, role, sealed } = all.peer;
  const row: Row = { name, title, role, sealed, runs: all.runs };
  const rate = rateOf(all.runs, work);
  if (all.failed !== undefined) return { ...row, failed: all.failed };
  if (rate === undefined) return { ...row, skipped: all.skipped ?? "no runs" };
  const gib = work.bytes / 2 ** 30;
  const median = (value: (run: Run) => number) => summary(all.runs.map(value)).median;
  const flat = all.runs.flatMap(({ lastOverFirst }) => lastOverFirst ?? []);
  const figures: Figures = {
    seconds: summary(all.runs.map(({ seconds }) => seconds)),
    rate,
    ...(best.peer > 0 ? { toBestPeer: rate / best.peer } : {}),
    ...(best.cp > 0 ? { toCp: rate / best.cp } : {}),
    fromCpuPerGib: median(({ fromCpuSeconds }) => fromCpuSeconds) / gib,
    toCpuPerGib: median(({ toCpuSeconds }) => toCpuSeconds) / gib,
    cpuPerGib: median(({ fromCpuSeconds, toCpuSeconds }) => fromCpuSeconds + toCpuSeconds) / gib,
    ...(all.fromPeakBytes === undefined ? {} : { fromPeakBytes: all.fromPeakBytes }),
    ...(all.toPeakBytes === undefined ? {} : { toPeakBytes: all.toPeakBytes }),
    ...(flat.length === 0 ? {} : { lastOverFirst: summary(flat).median }),
  };
  return { ...row, figures };
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
