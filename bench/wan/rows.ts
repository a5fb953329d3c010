/** The rows of `bench wan`: a link each, and what is sent over it. */
import type { TopologyInput } from "../netlab/topology.ts";
import type { Size } from "../work.ts";

type LinkInput = NonNullable<TopologyInput["links"]>[number];

export interface WanRow {
  /** As in `--only`. */
  readonly name: string;
  /** For the table. */
  readonly title: string;
  /** Between `client` and `server`, data flows forward; the rate and a queue of 1 BDP are added. */
  readonly link: Omit<LinkInput, "between" | "rateMbitPerSec">;
  /** One file of so many MiB, or many small files. */
  readonly mebibytes: (size: Size) => number | "small";
  /** The same transfer once more against the same state (path history). */
  readonly warm: boolean;
}

/** 500 MiB: some 4.4 s at 1 Gbit/s. */
const usual = ({ quick }: Size) => (quick ? 100 : 500);
const roundTrip = (ms: number) => ({ delayMs: ms / 2 });

export const WAN_ROWS: readonly WanRow[] = [
  { name: "clean", title: "100 ms, no loss", link: roundTrip(100), mebibytes: usual, warm: true },
  {
    name: "loss-0.1",
    title: "100 ms, 0.1 % loss",
    link: { ...roundTrip(100), forward: { lossPercent: 0.1 } },
    mebibytes: usual,
    warm: true,
  },
  {
    name: "loss-1",
    title: "100 ms, 1 % loss",
    link: { ...roundTrip(100), forward: { lossPercent: 1 } },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "loss-2",
    title: "200 ms, 2 % loss",
    link: { ...roundTrip(200), forward: { lossPercent: 2 } },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "satellite",
    title: "1 s, 5 % loss",
    link: { ...roundTrip(1000), forward: { lossPercent: 5 } },
    mebibytes: ({ quick }) => (quick ? 256 : 2048),
    warm: false,
  },
  {
    name: "loss-30",
    title: "50 ms, 30 % loss",
    link: { ...roundTrip(50), forward: { lossPercent: 30 } },
    mebibytes: ({ quick }) => (quick ? 20 : 100),
    warm: false,
  },
  {
    name: "bursty",
    title: "100 ms, 0.1 % loss in bursts of 10",
    link: { ...roundTrip(100), forward: { lossPercent: 0.1, meanBurstPackets: 10 } },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "reorder",
    title: "100 ms, 0.1 % reordered by 1 ms",
    link: { ...roundTrip(100), forward: { reorderPercent: 0.1, reorderByMs: 1 } },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "jitter",
    title: "100 ms, 10 ms of jitter",
    link: { ...roundTrip(100), forward: { jitterMs: 10 } },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "shallow",
    title: "10 ms, queue of 0.1 BDP",
    link: { ...roundTrip(10), queueBdp: 0.1 },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "deep",
    title: "10 ms, queue of 4 BDP",
    link: { ...roundTrip(10), queueBdp: 4 },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "corrupt",
    title: "100 ms, 0.01 % of packets corrupted",
    link: { ...roundTrip(100), forward: { corruptPercent: 0.01 } },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "asymmetric",
    title: "100 ms, 100 Mbit/s back",
    link: { ...roundTrip(100), back: { rateMbitPerSec: 100 } },
    mebibytes: usual,
    warm: false,
  },
  {
    name: "small",
    title: "100 ms, 0.1 % loss",
    link: { ...roundTrip(100), forward: { lossPercent: 0.1 } },
    mebibytes: () => "small",
    warm: false,
  },
];

/** @throws Error naming what there is */
export function pickRows(only: readonly string[] | undefined): readonly WanRow[] {
  if (only === undefined) return WAN_ROWS;
  return only.map((name) => {
    const found = WAN_ROWS.find((row) => row.name === name);
    if (found !== undefined) return found;
    throw new Error(`--only: wan has no "${name}"; there are: ${WAN_ROWS.map((row) => row.name).join(", ")}`);
  });
}

/** Windows as for a data transfer node (tcp_rmem and tcp_wmem up to 128 MiB: fasterdata.es.net's advice for 1 to 10 Gbit/s paths). */
export const TRANSFER_NODE = {
  "net.ipv4.tcp_rmem": "4096 131072 134217728",
  "net.ipv4.tcp_wmem": "4096 65536 134217728",
} as const;

export function topologyOf(row: WanRow, rateMbitPerSec: number): TopologyInput {
  return {
    seed: 1,
    sysctls: TRANSFER_NODE,
    links: [{ queueBdp: 1, ...row.link, between: ["client", "server"], rateMbitPerSec }],
  };
}
