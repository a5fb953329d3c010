/** Compares what was asked of each link with what it gives. */
import { spawnSync } from "node:child_process";
import type { LinkCounters } from "./emulator.ts";
import type { Lab, LabLink } from "./lab.ts";
import { probe, type StreamOptions, stream } from "./measure.ts";
import type { DirectionSpec } from "./topology.ts";
import { whyVoid } from "./verdict.ts";

export interface Row {
  readonly link: string;
  readonly way: string;
  readonly what: string;
  readonly asked: string;
  readonly given: string;
}

export interface CheckOptions {
  /** Of each stream. */
  readonly seconds: number;
  readonly say: (line: string) => void;
}

/** Datagrams of the probe, some 5 s. */
const PROBES = 500;
const PROBE_INTERVAL_US = 10_000;
/** Offered above the rate, so that the link and not the sender decides. */
const OVERLOAD = 1.1;
/** Ethernet, IPv4 and UDP in front of a payload. */
const UDP_HEADERS = { ethernet: 14, ip: 20, udp: 8 };

/** One link after another; nothing else may run in the lab. */
export async function check(lab: Lab, options: CheckOptions): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const iperf = spawnSync("iperf3", ["--version"]).status === 0;
  for (const link of lab.links) {
    options.say(`${link.spec.name} (${link.backend})`);
    rows.push(...(await roundTrip(lab, link)));
    if (iperf) rows.push(...(await streams(lab, link, options)));
    else rows.push(row(link, "both", { what: "iperf3", asked: "", given: "SKIPPED: not installed" }));
    rows.push(...(await counted(link)));
  }
  return rows;
}

type Cells = Pick<Row, "what" | "asked" | "given">;

function row({ spec }: LabLink, way: string, cells: Cells): Row {
  return { link: spec.name, way, ...cells };
}

/** Who sends to whom, by which interfaces. */
function ways(lab: Lab, { spec }: LabLink) {
  const end = (side: 0 | 1) => {
    const host = lab.host(spec.between[side]);
    const own = host.addresses.find(({ link }) => link === spec.name);
    if (own === undefined) throw new Error(`${host.name} has no interface of ${spec.name}`);
    return { host, ...own };
  };
  const [one, other] = [end(0), end(1)];
  return [
    { from: one, to: other, spec: spec.forward, label: `${one.host.name} > ${other.host.name}` },
    { from: other, to: one, spec: spec.back, label: `${other.host.name} > ${one.host.name}` },
  ] as const;
}

async function roundTrip(lab: Lab, link: LabLink): Promise<readonly Row[]> {
  const [{ from, to, spec: there }, { spec: back }] = ways(lab, link);
  const askedMs = there.delayMs + back.delayMs;
  const found = await probe(lab, {
    from: from.host,
    to: to.host,
    address: to.address,
    count: PROBES,
    intervalUs: PROBE_INTERVAL_US,
    waitMs: 2 * askedMs + 1000,
  });
  const { median, min, max } = found.rttMs;
  const jitterMs = there.jitterMs + back.jitterMs;
  const arrives = (1 - there.lossPercent / 100) * (1 - back.lossPercent / 100);
  const lost = (1 - found.received / found.sent) * 100;
  return [
    row(link, "both", {
      what: "round trip",
      asked: `${askedMs} ms${jitterMs > 0 ? ` ± ${jitterMs}` : ""}`,
      given: `${ms(median)} (${ms(min)}-${ms(max)})`,
    }),
    row(link, "both", {
      what: `loss of ${PROBES} probes`,
      asked: percent((1 - arrives) * 100),
      given: percent(lost),
    }),
  ];
}

/** A stream that iperf3 cannot set up (its first datagram is never sent again) is a row of its own, not the end of the check. */
async function streams(lab: Lab, link: LabLink, options: CheckOptions): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const { from, to, spec, label } of ways(lab, link)) {
    const base: StreamOptions = {
      from: from.host,
      to: to.host,
      address: to.address,
      devices: { from: from.device, to: to.device },
      seconds: options.seconds,
    };
    const asked = spec.rateBitsPerSec;
    const most = asked > 0 ? `at most ${mbit(asked)}` : "unlimited";
    const cells: [string, string, () => Promise<string>][] = [
      ["TCP rate", most, async () => mbit((await stream(base)).receivedBitsPerSec)],
    ];
    if (asked > 0) cells.unshift(["UDP rate", mbit(asked), () => overloadStream(base, link.spec.mtu, spec)]);
    for (const [what, wanted, measure] of cells) {
      const given = await measure().catch((error: unknown) => `no result: ${String(error)}`);
      rows.push(row(link, label, { what, asked: wanted, given }));
    }
  }
  return rows;
}

async function overloadStream(base: StreamOptions, mtu: number, spec: DirectionSpec): Promise<string> {
  const payloadBytes = mtu - UDP_HEADERS.ip - UDP_HEADERS.udp;
  const share = payloadBytes / (mtu + UDP_HEADERS.ethernet);
  // What is lost before the queue does not load it.
  const bitsPerSec = (spec.rateBitsPerSec * share * OVERLOAD) / (1 - spec.lossPercent / 100);
  const found = await stream({ ...base, udp: { bitsPerSec, payloadBytes } });
  const short = found.sentBitsPerSec < spec.rateBitsPerSec;
  return `${mbit(found.receivedBitsPerSec)}${short ? ` (only ${mbit(found.sentBitsPerSec)} offered)` : ""}`;
}

/** What a link lets through forward when iperf3 offers it more than its rate. @throws Error when iperf3 cannot run */
export async function overload(lab: Lab, link: LabLink, seconds: number): Promise<string> {
  if (spawnSync("iperf3", ["--version"]).status !== 0) return "not installed";
  const [{ from, to, spec }] = ways(lab, link);
  const devices = { from: from.device, to: to.device };
  const base = { from: from.host, to: to.host, address: to.address, devices, seconds };
  return overloadStream(base, link.spec.mtu, spec);
}

/** What the emulator says that it did. */
async function counted(link: LabLink): Promise<readonly Row[]> {
  const counters = await link.counters();
  if (counters === undefined) return [];
  const [one, other] = link.spec.between;
  const why = whyVoid(link.spec, counters);
  return [
    ...countedWay(link, { label: `${one} > ${other}`, spec: link.spec.forward, counters: counters.forward }),
    ...countedWay(link, { label: `${other} > ${one}`, spec: link.spec.back, counters: counters.back }),
    ...(why === undefined ? [] : [row(link, "both", { what: "VOID", asked: "", given: why })]),
  ];
}

interface CountedWay {
  readonly label: string;
  readonly spec: DirectionSpec;
  readonly counters: LinkCounters["forward"];
}

function countedWay(link: LabLink, { label, spec, counters }: CountedWay): readonly Row[] {
  const { packets, deliveredPackets: delivered } = counters;
  const share = (what: string, asked: number, part: number, of: number) => ({
    what,
    asked: percent(asked),
    given: `${percent(of === 0 ? 0 : (100 * part) / of)} of ${of}`,
  });
  const cells: Cells[] = [
    share("lost", spec.lossPercent, counters.lost, packets),
    ...(spec.reorderPercent > 0
      ? [share("reordered", spec.reorderPercent, counters.reordered, delivered)]
      : []),
    ...(spec.duplicatePercent > 0
      ? [share("duplicated", spec.duplicatePercent, counters.duplicated, packets - counters.lost)]
      : []),
    ...(spec.corruptPercent > 0
      ? [share("corrupted", spec.corruptPercent, counters.corrupted, delivered)]
      : []),
    ...(spec.rateBitsPerSec > 0
      ? [{ what: "longest queue", asked: `${spec.queueBytes} B`, given: `${counters.maxQueueBytes} B` }]
      : []),
    { what: "latest departure", asked: `${link.spec.tickUs} us`, given: `${counters.maxLateUs} us` },
    share("1 ms late or more", 0, counters.latePackets, delivered),
    { what: "held by the host", asked: "0 us", given: `${counters.maxHeldUs} us` },
    {
      what: "dropped by emulator",
      asked: "0",
      given: String(counters.droppedByRing + counters.failedWrites),
    },
  ];
  return cells.map((cell) => row(link, label, cell));
}

function ms(value: number | null): string {
  return value === null ? "none" : `${value.toFixed(1)} ms`;
}

function percent(value: number): string {
  return `${Number(value.toFixed(3))} %`;
}

function mbit(bitsPerSec: number): string {
  return `${(bitsPerSec / 1e6).toFixed(1)} Mbit/s`;
}

export function table(rows: readonly Row[]): string {
  const head: Row = { link: "link", way: "direction", what: "what", asked: "asked", given: "given" };
  const columns = ["link", "way", "what", "asked", "given"] as const;
  const width = (column: (typeof columns)[number]) =>
    Math.max(...[head, ...rows].map((item) => item[column].length));
  return [head, ...rows]
    .map((item) =>
      columns
        .map((column) => item[column].padEnd(width(column)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
