/** The rows of `bench fair`: who shares the bottleneck, and how long its queue is. */
import type { TopologyInput } from "../netlab/topology.ts";
import { TRANSFER_NODE } from "../wan/rows.ts";

export interface FairRow {
  /** As in `--only`. */
  readonly name: string;
  readonly title: string;
  readonly queueBdp: number;
  /** A kernel flow by this controller, another of ours, or a kernel flow that comes later and goes earlier. */
  readonly beside: "cubic" | "bbr" | "ours" | "later";
}

const QUEUES = [0.5, 1, 4] as const;
const TITLES = {
  cubic: "ours beside CUBIC",
  bbr: "ours beside BBR",
  ours: "two of ours",
  later: "--background, CUBIC comes and goes",
} as const;
const NAMES = { cubic: "cubic", bbr: "bbr", ours: "two", later: "background" } as const;

function row(beside: FairRow["beside"], queueBdp: number): FairRow {
  return {
    name: `${NAMES[beside]}-${queueBdp}`,
    title: `${TITLES[beside]}, queue ${queueBdp} BDP`,
    queueBdp,
    beside,
  };
}

export const FAIR_ROWS: readonly FairRow[] = [
  ...(["cubic", "bbr", "ours"] as const).flatMap((beside) => QUEUES.map((queue) => row(beside, queue))),
  row("later", 1),
];

/** @throws Error naming what there is */
export function pickFairRows(only: readonly string[] | undefined): readonly FairRow[] {
  if (only === undefined) return FAIR_ROWS;
  return only.map((name) => {
    const found = FAIR_ROWS.find((item) => item.name === name);
    if (found !== undefined) return found;
    throw new Error(
      `--only: fair has no "${name}"; there are: ${FAIR_ROWS.map((item) => item.name).join(", ")}`,
    );
  });
}

/** The link that is shared, in the topology below. */
export const BOTTLENECK = "left-right";

/** Two senders and two receivers, each pair with wires of its own, and one link between them. */
export function fairTopology(
  queueBdp: number,
  link: { rateMbitPerSec: number; delayMs: number },
): TopologyInput {
  return {
    seed: 1,
    sysctls: TRANSFER_NODE,
    links: [
      { between: ["sender1", "left"] },
      { between: ["sender2", "left"] },
      { ...link, between: ["left", "right"], name: BOTTLENECK, queueBdp },
      { between: ["right", "receiver1"] },
      { between: ["right", "receiver2"] },
    ],
  };
}
