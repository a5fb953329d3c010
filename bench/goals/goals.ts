/** What Packetboat is meant to reach, and how far it is: each goal reads its figure out of what the bench found. */
import type { Figures } from "../report.ts";
import type { Found } from "./found.ts";

export interface Goal {
  /** As in the bench's own tables. */
  readonly scenario: string;
  readonly asked: string;
  /** Undefined: not run. */
  readonly judge: (found: Found) => Judged | undefined;
}

export interface Judged {
  /** For people. */
  readonly got: string;
  /** How much of the goal: 1 and more is met. */
  readonly part: number;
  /** Counted runs of ours. */
  readonly runs: number;
}

interface Measured {
  readonly value: number;
  readonly runs: number;
}

type Measure = (found: Found) => Measured | undefined;

const times = (value: number) => `${value.toFixed(2)}×`;
const percent = (value: number) => `${(value * 100).toFixed(1)} %`;
const finer = (value: number) => `${(value * 100).toFixed(2)} %`;
const gigabits = (value: number) => `${value.toFixed(1)} Gbit/s`;
const mebibytes = (value: number) => `${Math.round(value / 2 ** 20)} MiB`;
const seconds = (value: number) => `${value} s`;

function atLeast(scenario: string, what: string, [goal, say]: Asked, measure: Measure): Goal {
  const judge = (found: Found) => judged(measure(found), say, (value) => value / goal);
  return { scenario, asked: `${what} ≥ ${say(goal)}`, judge };
}

function atMost(scenario: string, what: string, [goal, say]: Asked, measure: Measure): Goal {
  const judge = (found: Found) =>
    judged(measure(found), say, (value) => goal / Math.max(value, Number.MIN_VALUE));
  return { scenario, asked: `${what} ≤ ${say(goal)}`, judge };
}

type Asked = readonly [goal: number, say: (value: number) => string];

function judged(
  measured: Measured | undefined,
  say: (value: number) => string,
  part: (value: number) => number,
): Judged | undefined {
  if (measured === undefined) return undefined;
  return { got: say(measured.value), part: part(measured.value), runs: measured.runs };
}

/** A figure of one of ours. */
function ours(scenario: string, peer: string, value: (figures: Figures) => number | undefined): Measure {
  return (found) => {
    const row = found.row(scenario, peer);
    const got = row?.figures === undefined ? undefined : value(row.figures);
    return got === undefined || row === undefined ? undefined : { value: got, runs: row.runs.length };
  };
}

/** One figure over another of the same table. */
function over(one: Measure, other: (found: Found) => number | undefined): Measure {
  return (found) => {
    const [mine, theirs] = [one(found), other(found)];
    if (mine === undefined || theirs === undefined || theirs === 0) return undefined;
    return { value: mine.value / theirs, runs: mine.runs };
  };
}

const rate = (scenario: string, peer: string) => ours(scenario, peer, (figures) => figures.rate);
const share = (row: string, peer = "pb-udp") => ours(`wan-${row}`, peer, ({ link }) => link?.share);
const toBest = (scenario: string, peer: string) =>
  over(rate(scenario, peer), (found) => found.bestPeerRate(scenario));
const rateOf = (scenario: string, peer: string) => (found: Found) => found.figures(scenario, peer)?.rate;
const toClean = (row: string) => over(share(row), (found) => share("clean")(found)?.value);

/** The least of those of that role which seal. */
function sealedCpu(found: Found, role: "ours" | "peer"): Measured | undefined {
  const costs = found
    .rows("cpu")
    .flatMap((row) =>
      row.role === role && row.sealed && row.figures !== undefined
        ? [{ value: row.figures.cpuPerGib, runs: row.runs.length }]
        : [],
    );
  return costs.sort((a, b) => a.value - b.value)[0];
}

const shareGoal = (row: string, goal: number, peer = "pb-udp") =>
  atLeast(
    `wan ${row}`,
    peer.endsWith("warm") ? "of the link, path known:" : "of the link:",
    [goal, percent],
    share(row, peer),
  );

const likeClean = (row: string, goal: number) =>
  atLeast(`wan ${row}`, "of the clean link's rate:", [goal, percent], toClean(row));

const QUEUES = [0.5, 1, 4] as const;

/** 1 where both get the same: the smaller over the larger. */
function evenness(row: string): Measure {
  return (found) => {
    const sharing = found.fair(row)?.sharing;
    if (sharing === undefined) return undefined;
    return { value: sharing.oneBitsPerSec / Math.max(1, sharing.otherBitsPerSec), runs: 1 };
  };
}

const besideKernel = (flow: "cubic" | "bbr") =>
  QUEUES.map((queue): Goal => {
    const row = `${flow}-${queue}`;
    return {
      scenario: `fair ${row}`,
      asked: "ours over theirs: 0.5 to 2",
      judge: (found) => judged(evenness(row)(found), times, (ratio) => Math.min(ratio / 0.5, 2 / ratio)),
    };
  });

const jain = (queue: number): Goal =>
  atLeast(`fair two-${queue}`, "Jain's index:", [0.95, (value) => value.toFixed(3)], (found) => {
    const sharing = found.fair(`two-${queue}`)?.sharing;
    return sharing === undefined ? undefined : { value: sharing.jain, runs: 1 };
  });

function background(value: (found: { yielded: number; back: number }) => number): Measure {
  return (found) => {
    const yielding = found.fair("background-1")?.yielding;
    if (yielding === undefined) return undefined;
    const { yieldedAfterSeconds: yielded = Number.POSITIVE_INFINITY } = yielding;
    const { backAfterSeconds: back = Number.POSITIVE_INFINITY } = yielding;
    return { value: value({ yielded, back }), runs: 1 };
  };
}

/** All of the file came through, however long it took. */
const finishes: Goal = {
  scenario: "wan loss-30",
  asked: "finishes",
  judge: (found) => {
    const row = found.row("wan-loss-30", "pb-udp");
    if (row === undefined || (row.runs.length === 0 && row.stopped === undefined)) return undefined;
    const done = row.stopped === undefined && row.failed === undefined;
    return {
      got: done ? `${row.figures?.seconds.median.toFixed(1)} s` : "stopped",
      part: done ? 1 : 0,
      runs: row.runs.length,
    };
  },
};

/** The least queue that a TCP flow by BBR keeps. */
function queueOfBbr(found: Found): number | undefined {
  const queues = found
    .rows("wan-deep")
    .flatMap(({ name, role, figures }) =>
      role === "peer" && name.endsWith("-bbr") && figures?.link !== undefined ? [figures.link.queueMs] : [],
    );
  return queues.length === 0 ? undefined : Math.min(...queues);
}

export const GOALS: readonly Goal[] = [
  atLeast("lan", "sealed, over the fastest peer:", [1.2, times], toBest("lan", "pb")),
  atLeast("lan", "sealed, over scp:", [4, times], over(rate("lan", "pb"), rateOf("lan", "scp"))),
  atLeast("lan", "--seal off, over the fastest peer:", [1.5, times], toBest("lan", "pb-clear")),
  atMost(
    "lan",
    "--seal off, time over cp's:",
    [1.5, times],
    over(
      ours("lan", "pb-clear", (f) => f.seconds.median),
      (found) => found.figures("lan", "cp")?.seconds.median,
    ),
  ),
  atLeast("lan", "sealed, to nowhere:", [12, gigabits], rate("lan", "pb-discard")),
  atLeast("lan", "in clear, to nowhere:", [20, gigabits], rate("lan", "pb-clear-discard")),
  shareGoal("clean", 0.85),
  atLeast("wan clean", "over the best peer:", [1.3, times], toBest("wan-clean", "pb-udp")),
  shareGoal("clean", 0.92, "pb-udp-warm"),
  shareGoal("loss-0.1", 0.85),
  atLeast("wan loss-0.1", "over the best peer:", [1.7, times], toBest("wan-loss-0.1", "pb-udp")),
  shareGoal("loss-0.1", 0.92, "pb-udp-warm"),
  shareGoal("loss-1", 0.85),
  shareGoal("loss-2", 0.8),
  shareGoal("satellite", 0.7),
  finishes,
  likeClean("bursty", 0.9),
  likeClean("reorder", 0.9),
  likeClean("jitter", 0.9),
  shareGoal("shallow", 0.85),
  shareGoal("deep", 0.85),
  atMost(
    "wan deep",
    "queue over that of TCP by BBR:",
    [1, times],
    over(
      ours("wan-deep", "pb-udp", ({ link }) => link?.queueMs),
      queueOfBbr,
    ),
  ),
  atLeast(
    "small",
    "over the rsync daemon:",
    [1.5, times],
    over(rate("small", "pb"), rateOf("small", "rsync")),
  ),
  shareGoal("small", 0.6),
  ...besideKernel("cubic"),
  ...besideKernel("bbr"),
  ...QUEUES.map(jain),
  atMost(
    "fair background-1",
    "--background gives way to CUBIC after",
    [10, seconds],
    background(({ yielded }) => yielded),
  ),
  atMost(
    "fair background-1",
    "and has the link back after",
    [15, seconds],
    background(({ back }) => back),
  ),
  atMost(
    "cpu",
    "CPU seconds per GiB over the best sealed peer's:",
    [1, times],
    over(
      (found) => sealedCpu(found, "ours"),
      (found) => sealedCpu(found, "peer")?.value,
    ),
  ),
  atMost(
    "many",
    "resident at the sender:",
    [512 * 2 ** 20, mebibytes],
    ours("many", "pb", ({ fromPeakBytes }) => fromPeakBytes),
  ),
  atMost(
    "many",
    "resident at the receiver:",
    [512 * 2 ** 20, mebibytes],
    ours("many", "pb", ({ toPeakBytes }) => toPeakBytes),
  ),
  atLeast(
    "many",
    "last tenth's rate over the first's:",
    [0.8, times],
    ours("many", "pb", ({ lastOverFirst }) => lastOverFirst),
  ),
  likeClean("corrupt", 0.8),
  likeClean("asymmetric", 0.97),
  atMost(
    "wan asymmetric",
    "bytes back over bytes forward:",
    [0.01, finer],
    ours("wan-asymmetric", "pb-udp", ({ link }) => link?.backShare),
  ),
];
