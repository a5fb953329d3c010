/** The command line of `npm run crash`. */
import { parseArgs } from "node:util";
import type { Side } from "./point.ts";
import { DIRECTIONS, type Direction } from "./scene.ts";

export type Mode = "points" | "random";
export type Load = "small" | "large" | "many";

export interface Slice {
  /** From 0, below `of`. */
  readonly rest: number;
  readonly of: number;
}

export interface Arguments {
  readonly modes: readonly Mode[];
  readonly sides: readonly Side[];
  readonly directions: readonly Direction[];
  readonly transports: readonly ("udp" | "tcp")[];
  readonly moves: readonly boolean[];
  readonly loads: readonly Load[];
  /** More words of `pb cp` and `pb mv`. */
  readonly args: readonly string[];
  /** "all", or how many of each. */
  readonly points: "all" | number;
  /** Of all points those whose number leaves this rest: a long sweep in several runs. */
  readonly slice: Slice;
  readonly seeds: readonly number[];
  /** So many small files are killed and gone on with, and nothing else is done. */
  readonly million?: number;
  /** A link is down for so many seconds, and nothing else is done. */
  readonly outageSeconds?: number;
  /** The last run of `million` is traced. */
  readonly trace: boolean;
}

export const USAGE = `usage: npm run crash -- [options]

Kills pb with SIGKILL and asserts I1 to I6; test/crash/README.md says how.

  --mode points|random|both   at system calls of a small job, or at random times of large jobs; default points
  --side client|server|both   who is killed; default both
  --direction up|down|local|all  default up and down; local has no server
  --transport udp|tcp|both    default udp
  --move off|on|both          moves instead of copies; default off
  --overwrite POLICY          of pb cp and pb mv, but never: the job replaces a file; default theirs
  --points all|sample|N       default all; sample: 12 of each
  --slice K/N                 of --points all the K-th of N slices, 1 to N; default 1/1
  --load large|many|both      of --mode random; default both
  --seeds N                   different samples, different times; default 1
  --seed N                    the first of them; default 1

  --million                   instead: 1,000,000 small files, killed twice, gone on with; start, memory and opened files are measured
  --files N                   of --million; default 1000000
  --outage S                  instead: a long upload whose link is down for S seconds, whose client gets another address, whose server restarts
  --trace on|off              count opened files with strace; default on where there is strace
`;

const SAMPLE = 12;

export function parse(words: readonly string[]): Arguments | "help" {
  const { values } = parseArgs({
    args: [...words],
    options: {
      help: { type: "boolean", short: "h" },
      mode: { type: "string", default: "points" },
      side: { type: "string", default: "both" },
      direction: { type: "string", default: "both" },
      transport: { type: "string", default: "udp" },
      move: { type: "string", default: "off" },
      overwrite: { type: "string" },
      points: { type: "string", default: "all" },
      slice: { type: "string", default: "1/1" },
      load: { type: "string", default: "both" },
      seeds: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
      million: { type: "boolean", default: false },
      outage: { type: "string" },
      files: { type: "string", default: "1000000" },
      trace: { type: "string", default: "on" },
    },
  });
  if (values.help) return "help";
  const first = count("--seed", values.seed);
  return {
    modes: some<Mode>("--mode", values.mode, ["points", "random"]),
    sides: some<Side>("--side", values.side, ["client", "server"]),
    directions: directions(values.direction),
    transports: some("--transport", values.transport, ["udp", "tcp"]),
    moves: some<"off" | "on">("--move", values.move, ["off", "on"]).map((word) => word === "on"),
    loads: some<Load>("--load", values.load, ["large", "many"]),
    args: values.overwrite === undefined ? [] : ["--overwrite", values.overwrite],
    points: points(values.points),
    slice: slice(values.slice),
    ...(values.million ? { million: count("--files", values.files) } : {}),
    ...(values.outage === undefined ? {} : { outageSeconds: count("--outage", values.outage) }),
    trace: some("--trace", values.trace, ["on", "off"]).includes("on"),
    seeds: Array.from({ length: count("--seeds", values.seeds) }, (_, n) => first + n),
  };
}

/** One of the words, or all of them: "both". */
function some<T extends string>(flag: string, word: string, known: readonly T[]): readonly T[] {
  if (word === "both" || word === "all") return known;
  const found = known.filter((one) => one === word);
  if (found.length === 0) throw new Error(`${flag} ${word}: it takes ${known.join(", ")} or both`);
  return found;
}

function directions(word: string): readonly Direction[] {
  if (word === "all") return DIRECTIONS;
  return word === "both" ? ["up", "down"] : some("--direction", word, DIRECTIONS);
}

function points(word: string): "all" | number {
  if (word === "all") return word;
  return word === "sample" ? SAMPLE : count("--points", word);
}

function slice(word: string): Slice {
  const [, rest = "", of = ""] = /^(\d+)\/(\d+)$/.exec(word) ?? [];
  const [k, n] = [count("--slice", rest), count("--slice", of)];
  if (k > n) throw new Error(`--slice ${word}: K/N, K from 1 to N`);
  return { rest: k - 1, of: n };
}

function count(flag: string, word: string): number {
  const number = Number(word);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${flag} ${word}: a number from 1`);
  return number;
}
