/** The file that describes a lab: hosts, and the links between them. JSON or TOML. */
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { parse as parseToml } from "smol-toml";
import { z } from "zod";

/** Interface and namespace names are made of it. */
const HOST = /^[a-z][a-z0-9]{0,14}$/;
/** A queue shorter than this would drop packets of a link that nobody fills: some 43 packets of 1500 bytes. */
const MIN_DEFAULT_QUEUE_BYTES = 64 << 10;
/** 10.78.0.0/16 in subnets of four. */
const MAX_LINKS = 1 << 14;

const percent = z.number().min(0).max(100);
const milliseconds = z.number().min(0).max(60_000);

const direction = z.strictObject({
  /** 10^6 bits of Ethernet frames (without preamble and FCS) per second. Without it: as fast as the machine. */
  rateMbitPerSec: z.number().min(0.001).max(1_000_000),
  /** One way. */
  delayMs: milliseconds,
  /** The delay is delayMs ± jitterMs. */
  jitterMs: milliseconds,
  /** Each packet its own jitter, overtaking allowed. Else the delay wanders and the order stays. */
  jitterReorders: z.boolean(),
  /** Droptail. Without it: queueBdp. */
  queueBytes: z.number().int().min(1),
  /** In rate × (delayMs of both directions). Default 1, at least 64 KiB. */
  queueBdp: z.number().positive().max(1000),
  lossPercent: percent.max(99),
  /** Losses come in runs of this mean length (Gilbert's model). Without it: each on its own. */
  meanBurstPackets: z.number().min(1).max(1_000_000),
  reorderPercent: percent,
  /** How much later a reordered packet comes. Default 1. */
  reorderByMs: milliseconds,
  duplicatePercent: percent,
  /** One bit flipped. */
  corruptPercent: percent,
  /** Corruption that UDP's and TCP's checksum do not see: two 16-bit words swapped. */
  corruptSilently: z.boolean(),
  /** Larger packets vanish: a path MTU below that of the interfaces. */
  dropAboveMtu: z.number().int().min(68).max(65_535),
});

const someOfDirection = direction.partial();
type DirectionInput = z.output<typeof someOfDirection>;

const link = someOfDirection.extend({
  between: z.tuple([z.string().regex(HOST), z.string().regex(HOST)]),
  /** Default: "a-b", with a number from the second of a pair on. */
  name: z.string().min(1).max(40).optional(),
  /** Of both interfaces, bytes. */
  mtu: z.number().int().min(576).max(65_000).default(1500),
  /** The emulator's departures may be late by this, in exchange for CPU. */
  tickUs: z.number().int().min(10).max(10_000).default(50),
  /** What differs from the first to the second host, and back. */
  forward: someOfDirection.default({}),
  back: someOfDirection.default({}),
});

const topology = z.strictObject({
  /** The same seed gives the same decisions for the same packets. */
  seed: z
    .number()
    .int()
    .min(0)
    .max(2 ** 32)
    .default(1),
  /** Hosts without links; the others need not be named. */
  hosts: z.array(z.string().regex(HOST)).default([]),
  links: z.array(link).max(MAX_LINKS).default([]),
  /** Set in every host, e.g. "net.ipv4.tcp_congestion_control" = "bbr". */
  sysctls: z.record(z.string().regex(/^net\.[a-z0-9_.]+$/), z.union([z.string(), z.number()])).default({}),
});

export type TopologyInput = z.input<typeof topology>;

/** What happens to packets one way; everything in it was asked for or follows from it. */
export interface DirectionSpec {
  /** 0: unlimited. */
  readonly rateBitsPerSec: number;
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly jitterReorders: boolean;
  readonly queueBytes: number;
  readonly lossPercent: number;
  /** Undefined: independent losses. */
  readonly meanBurstPackets: number | undefined;
  readonly reorderPercent: number;
  readonly reorderByMs: number;
  readonly duplicatePercent: number;
  readonly corruptPercent: number;
  readonly corruptSilently: boolean;
  /** Undefined: no bound but the interfaces'. */
  readonly dropAboveMtu: number | undefined;
}

export interface LinkSpec {
  readonly name: string;
  readonly between: readonly [string, string];
  readonly mtu: number;
  readonly tickUs: number;
  readonly forward: DirectionSpec;
  readonly back: DirectionSpec;
}

export interface Topology {
  readonly seed: number;
  readonly hosts: readonly string[];
  readonly links: readonly LinkSpec[];
  readonly sysctls: Readonly<Record<string, string>>;
}

/** @throws Error naming the file and the field */
export function readTopology(file: string): Topology {
  const text = readFileSync(file, "utf8");
  try {
    return resolveTopology(extname(file) === ".toml" ? parseToml(text) : JSON.parse(text));
  } catch (error) {
    throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** @throws Error naming the field */
export function resolveTopology(input: unknown): Topology {
  const read = topology.safeParse(input);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new Error(`${issue?.path.join(".") || "topology"}: ${issue?.message ?? "not understood"}`);
  }
  const { seed, links, hosts, sysctls } = read.data;
  const names = new Map<string, number>();
  return {
    seed,
    links: links.map((item) => resolveLink(item, names)),
    hosts: [...new Set([...hosts, ...links.flatMap(({ between }) => between)])],
    sysctls: Object.fromEntries(Object.entries(sysctls).map(([name, value]) => [name, String(value)])),
  };
}

function resolveLink(input: z.output<typeof link>, names: Map<string, number>): LinkSpec {
  const { between, name, mtu, tickUs, forward, back, ...both } = input;
  if (between[0] === between[1]) throw new Error(`links: ${between[0]} cannot be linked to itself`);
  const ways = [
    { ...both, ...forward },
    { ...both, ...back },
  ] as const;
  const roundTripMs = (ways[0].delayMs ?? 0) + (ways[1].delayMs ?? 0);
  return {
    name: uniqueName(name ?? between.join("-"), names),
    between,
    mtu,
    tickUs,
    forward: resolveDirection(ways[0], roundTripMs),
    back: resolveDirection(ways[1], roundTripMs),
  };
}

function uniqueName(name: string, names: Map<string, number>): string {
  const count = (names.get(name) ?? 0) + 1;
  names.set(name, count);
  return count === 1 ? name : `${name}-${count}`;
}

function resolveDirection(input: DirectionInput, roundTripMs: number): DirectionSpec {
  const { delayMs = 0, jitterMs = 0 } = input;
  if (jitterMs > delayMs) throw new Error("links: jitterMs must be no more than delayMs");
  const rateBitsPerSec = (input.rateMbitPerSec ?? 0) * 1e6;
  const bdpBytes = Math.round((rateBitsPerSec / 8) * (roundTripMs / 1000));
  const asked = input.queueBytes ?? (input.queueBdp === undefined ? undefined : input.queueBdp * bdpBytes);
  return {
    rateBitsPerSec,
    delayMs,
    jitterMs,
    jitterReorders: input.jitterReorders ?? false,
    queueBytes: Math.round(asked ?? Math.max(bdpBytes, MIN_DEFAULT_QUEUE_BYTES)),
    lossPercent: input.lossPercent ?? 0,
    meanBurstPackets: input.meanBurstPackets,
    reorderPercent: input.reorderPercent ?? 0,
    reorderByMs: input.reorderByMs ?? 1,
    duplicatePercent: input.duplicatePercent ?? 0,
    corruptPercent: input.corruptPercent ?? 0,
    corruptSilently: input.corruptSilently ?? false,
    dropAboveMtu: input.dropAboveMtu,
  };
}
