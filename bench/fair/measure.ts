/** One row: two flows over one bottleneck, counted where they arrive. */
import { once } from "node:events";
import { Stopped } from "../lib/side.ts";
import type { Host } from "../netlab/host.ts";
import { createLab, type Lab, type LabLink } from "../netlab/lab.ts";
import { receivedBytes } from "../netlab/measure.ts";
import { resolveTopology } from "../netlab/topology.ts";
import { since, whyVoid } from "../netlab/verdict.ts";
import type { Peer } from "../peer.ts";
import { makePlace } from "../run.ts";
import type { Work } from "../work.ts";
import type { Series } from "./analysis.ts";
import { BOTTLENECK, type FairRow, fairTopology } from "./rows.ts";

export interface FairOptions {
  readonly seconds: number;
  readonly rateMbitPerSec: number;
  readonly delayMs: number;
  readonly work: Work;
  readonly scratch: string;
  /** Ours. */
  readonly peer: Peer;
}

export interface Shared {
  readonly series: Series;
  /** What a packet waited in the bottleneck's queue on average, and why the run counts for nothing. */
  readonly queueMs: number;
  readonly void?: string;
}

/** When the flow that comes later begins and ends. */
export function visit(seconds: number) {
  return { start: Math.round(seconds / 4), end: Math.round((seconds * 3) / 4) };
}

type Flow = (stop: AbortSignal) => Promise<void>;

export async function share(row: FairRow, options: FairOptions): Promise<Shared> {
  const { rateMbitPerSec, delayMs } = options;
  const topology = fairTopology(row.queueBdp, { rateMbitPerSec, delayMs });
  await using lab = await createLab(resolveTopology(topology), { backend: "emulator" });
  const link = lab.links.find(({ spec }) => spec.name === BOTTLENECK);
  if (link === undefined) throw new Error("fair: a lab without its bottleneck");
  const closers: (() => Promise<void>)[] = [];
  try {
    const ours = await oursBetween(lab, 1, options, closers);
    const other =
      row.beside === "ours" ? await oursBetween(lab, 2, options, closers) : kernel(lab, row, options);
    return await observe(lab, link, { flows: [ours, other], seconds: options.seconds });
  } finally {
    for (const close of closers) await close();
  }
}

async function oursBetween(
  lab: Lab,
  pair: 1 | 2,
  options: FairOptions,
  closers: (() => Promise<void>)[],
): Promise<Flow> {
  const end = ({ namespace, addresses }: Host) => ({ namespace, address: addresses[0]?.address ?? "" });
  const hosts = { from: end(lab.host(`sender${pair}`)), to: end(lab.host(`receiver${pair}`)) };
  const { peer, work, seconds, scratch } = options;
  const place = await makePlace({ name: `pair-${pair}` }, work, {
    scratch,
    hosts,
    watchMemory: false,
    limitMs: seconds * 1000,
  });
  closers.push(async () => {
    await Promise.all([place.from.close(), place.to.close()]);
  });
  const open = await peer.open(place);
  return async () => {
    const ended = await open.send(work).catch((error: unknown) => {
      if (!(error instanceof Stopped)) throw error;
      return "stopped" as const;
    });
    if (ended !== "stopped") throw new Error(`${peer.title} was done before the ${seconds} s were over`);
  };
}

/** iperf3 with the kernel's TCP. */
function kernel(lab: Lab, { beside }: FairRow, { seconds }: FairOptions): Flow {
  const [from, to] = [lab.host("sender2"), lab.host("receiver2")];
  const later = beside === "later";
  const { start, end } = visit(seconds);
  const [wait, lasts] = later ? [start, end - start] : [0, seconds];
  const controller = beside === "bbr" ? "bbr" : "cubic";
  return async (stop) => {
    const server = to.spawn("iperf3", ["-s", "-1"], { stdio: "ignore" });
    const ended = once(server, "exit");
    try {
      await pause(wait * 1000 + SERVER_START_MS);
      const address = to.addresses[0]?.address ?? "";
      const args = ["-c", address, "-t", String(lasts), "-C", controller];
      const { code, stdout, stderr } = await from.exec("iperf3", args, { signal: stop });
      if (code !== 0 && !stop.aborted) throw new Error(`iperf3: ${stderr.trim() || stdout.trim()}`);
    } finally {
      server.kill("SIGKILL");
      await ended;
    }
  };
}

const SERVER_START_MS = 300;

/** Both flows at once; what their receivers' interfaces count, once a second. */
async function observe(
  lab: Lab,
  link: LabLink,
  { flows, seconds }: { readonly flows: readonly Flow[]; readonly seconds: number },
): Promise<Shared> {
  const stop = new AbortController();
  const before = await link.counters({ newPeaks: true });
  const running = Promise.all(flows.map((flow) => flow(stop.signal)));
  // Who fails ends the row; until then nobody may wait for it.
  running.catch(() => stop.abort());
  const series = { one: [] as number[], other: [] as number[] };
  const look = () => [receivedBytes(lab.host("receiver1")), receivedBytes(lab.host("receiver2"))] as const;
  const start = performance.now();
  let last = look();
  for (let second = 1; second <= seconds && !stop.signal.aborted; second += 1) {
    await pause(start + second * 1000 - performance.now());
    const now = look();
    series.one.push(now[0] - last[0]);
    series.other.push(now[1] - last[1]);
    last = now;
  }
  const after = await link.counters();
  await running;
  if (before === undefined || after === undefined) throw new Error("fair: a bottleneck that counts nothing");
  const use = since(before, after);
  const queued = use.forward.packets - use.forward.droppedByQueue;
  const why = whyVoid(link.spec, use);
  const queueMs = queued > 0 ? use.forward.queuedUs / queued / 1000 : 0;
  return { series, queueMs, ...(why === undefined ? {} : { void: why }) };
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
