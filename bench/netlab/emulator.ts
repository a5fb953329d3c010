/** One emulated link: the `pb-netlab run` process and what it counts. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { onEmulatorCore } from "./cores.ts";
import { inNamespace } from "./shell.ts";
import type { DirectionSpec, LinkSpec } from "./topology.ts";

const way = z.object({
  packets: z.number(),
  bytes: z.number(),
  deliveredPackets: z.number(),
  deliveredBytes: z.number(),
  lost: z.number(),
  droppedByQueue: z.number(),
  droppedByMtu: z.number(),
  reordered: z.number(),
  duplicated: z.number(),
  corrupted: z.number(),
  maxQueueBytes: z.number(),
  /** Time in the queue, summed over packets: per packet, the standing queue. */
  queuedUs: z.number(),
  /** The emulator's own failings: above 0, the link was not what was asked. */
  droppedByRing: z.number(),
  failedWrites: z.number(),
  /** The most that a departure was late by the emulator's fault. */
  maxLateUs: z.number(),
  /** Departures more than a millisecond late. */
  latePackets: z.number(),
  /** The most that a packet waited for the receiving host to take it: it was slower than its link. */
  maxHeldUs: z.number(),
});
const counters = z.object({ forward: way, back: way });

/** Of one direction, since the lab began. */
export type WayCounters = z.output<typeof way>;
export type LinkCounters = z.output<typeof counters>;

export interface CountersOptions {
  /** Maxima begin again after this answer. */
  readonly newPeaks?: boolean;
}

export interface Emulator {
  counters(options?: CountersOptions): Promise<LinkCounters>;
  /** @returns the last counters */
  close(): Promise<LinkCounters>;
}

export interface EmulatorOptions {
  readonly binary: string;
  /** Where both devices are. */
  readonly namespace: string;
  readonly devices: readonly [string, string];
  readonly link: LinkSpec;
  /** Among the emulators of the lab. */
  readonly index: number;
  /** Forward; back takes the next one. */
  readonly seed: number;
}

/** Resolves when packets flow. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const child = withDescription(JSON.stringify(describe(options)), (file) => {
    const words = ["run", String(process.pid), "/dev/fd/3"];
    const placed = onEmulatorCore(options.index, options.binary, words);
    const args = inNamespace(options.namespace, placed.file, placed.args);
    return spawn(args.file, args.args, { stdio: ["pipe", "pipe", "pipe", file] });
  });
  const ended = once(child, "close");
  const errors: Buffer[] = [];
  child.stderr?.on("data", (data: Buffer) => errors.push(data));
  // It may end before it has read all: its own words say why.
  child.stdin?.on("error", () => {});
  const lines = readLines(child);
  const next = async () => {
    const line = await lines.next();
    if (line.done !== true) return line.value;
    throw new Error(`link ${options.link.name}: emulator ended: ${Buffer.concat(errors).toString().trim()}`);
  };
  await next();
  let last: Promise<LinkCounters> | undefined;
  const read = async () => counters.parse(JSON.parse(await next()));
  // One question at a time: answers carry no names.
  let turn: Promise<unknown> = Promise.resolve();
  const ask = (question: () => void) => {
    const answer = turn.then(() => {
      question();
      return read();
    });
    turn = answer.catch(() => {});
    return answer;
  };
  return {
    counters: ({ newPeaks = false } = {}) =>
      last ?? ask(() => child.stdin?.write(newPeaks ? "peaks\n" : "\n")),
    close: async () => {
      last ??= ask(() => child.stdin?.end());
      const result = await last;
      await ended;
      return result;
    },
  };
}

function readLines(child: ChildProcess): AsyncIterator<string> {
  if (child.stdout === null) throw new Error("no standard output");
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

/** The file has no name any more when the emulator reads it: a killed owner leaves none behind. */
function withDescription(text: string, start: (file: number) => ChildProcess): ChildProcess {
  const folder = mkdtempSync(join(tmpdir(), "pblab-"));
  let file: number | undefined;
  try {
    writeFileSync(join(folder, "link.json"), text);
    file = openSync(join(folder, "link.json"), "r");
    return start(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    if (file !== undefined) closeSync(file);
  }
}

/** As native/pb-netlab/src/spec.rs reads it. */
export function describe({ devices, link, seed }: Pick<EmulatorOptions, "devices" | "link" | "seed">) {
  return {
    a: devices[0],
    b: devices[1],
    mtu: link.mtu,
    tickUs: link.tickUs,
    forward: describeDirection(link.forward, seed),
    back: describeDirection(link.back, seed + 1),
  };
}

function describeDirection(spec: DirectionSpec, seed: number) {
  return {
    seed,
    rateBitsPerSec: spec.rateBitsPerSec,
    queueBytes: spec.queueBytes,
    delayMs: spec.delayMs,
    jitterMs: spec.jitterMs,
    jitterReorders: spec.jitterReorders,
    loss: spec.lossPercent / 100,
    meanBurst: spec.meanBurstPackets ?? 0,
    reorder: spec.reorderPercent / 100,
    reorderByMs: spec.reorderByMs,
    duplicate: spec.duplicatePercent / 100,
    corrupt: spec.corruptPercent / 100,
    corruptSilently: spec.corruptSilently,
    mtu: spec.dropAboveMtu ?? 0,
  };
}
