import { create } from "@bufbuild/protobuf";
import {
  TransferOptionsSchema,
  type TransferOptions as WireOptions,
  Overwrite as WireOverwrite,
  Transport as WireTransport,
} from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { pathBytes, pathText } from "../model/path.ts";
import {
  DEFAULT_MEMORY_BYTES,
  MIN_MEMORY_BYTES,
  type Overwrite,
  type TransferOptions,
  type TransportChoice,
} from "../model/transfer.ts";

const OVERWRITE_TO_WIRE = {
  always: WireOverwrite.ALWAYS,
  "if-newer": WireOverwrite.IF_NEWER,
  "if-different": WireOverwrite.IF_DIFFERENT,
  never: WireOverwrite.NEVER,
} as const satisfies Record<Overwrite, WireOverwrite>;

const TRANSPORT_TO_WIRE = {
  auto: WireTransport.AUTO,
  udp: WireTransport.UDP,
  tcp: WireTransport.TCP,
} as const satisfies Record<TransportChoice, WireTransport>;

/** docs/design/0001: a chunk is a power of two of 64 KiB to 1 MiB. */
const MIN_CHUNK_BYTES = 64 * 1024;
const MAX_CHUNK_BYTES = 1024 * 1024;
/** More lanes than a 10 Gbit/s sender has cores for; the lane number is one byte on the wire. */
export const MAX_LANES = 16;

export function optionsToWire(options: TransferOptions): WireOptions {
  return create(TransferOptionsSchema, {
    filters: options.filters.map(({ include, pattern }) => ({ include, pattern })),
    filesFrom: options.filesFrom.map(pathBytes),
    ...optional("minSize", options.minSize),
    ...optional("maxSize", options.maxSize),
    ...optional("minAge", options.minAgeSeconds),
    ...optional("maxAge", options.maxAgeSeconds),
    overwrite: OVERWRITE_TO_WIRE[options.overwrite],
    transport: TRANSPORT_TO_WIRE[options.transport],
    parallelFiles: options.parallelFiles,
    lanes: options.lanes,
    chunkBytes: options.chunkBytes,
    limitBytesPerSecond: BigInt(options.limitBytesPerSecond),
    memoryBytes: BigInt(options.memoryBytes),
    sealOff: !options.seal,
    fsyncOff: !options.fsync,
    permsOff: !options.perms,
    owner: options.owner,
    follow: options.follow,
    controller: options.controller,
    discard: options.discard,
    reread: options.reread,
  });
}

function optional<K extends string>(key: K, value: number | undefined): Partial<Record<K, bigint>> {
  return value === undefined ? {} : ({ [key]: BigInt(value) } as Record<K, bigint>);
}

/** @throws PbError `invalid_argument` naming the option that is out of its bounds */
export function optionsFromWire(options: WireOptions | undefined): TransferOptions {
  const wire = options ?? create(TransferOptionsSchema);
  const bounds = {
    ...given("minSize", wire.minSize),
    ...given("maxSize", wire.maxSize),
    ...given("minAgeSeconds", wire.minAge),
    ...given("maxAgeSeconds", wire.maxAge),
  };
  return {
    filters: wire.filters.map(({ include, pattern }) => ({ include, pattern })),
    filesFrom: wire.filesFrom.map(pathText),
    ...bounds,
    overwrite: fromTable(OVERWRITE_TO_WIRE, wire.overwrite, "if-different"),
    transport: fromTable(TRANSPORT_TO_WIRE, wire.transport, "auto"),
    parallelFiles: wire.parallelFiles,
    lanes: bounded("lanes", wire.lanes, { min: 0, max: MAX_LANES }),
    chunkBytes: chunkBytes(wire.chunkBytes),
    limitBytesPerSecond: safe("limit", wire.limitBytesPerSecond),
    memoryBytes: memoryBytes(wire.memoryBytes),
    seal: !wire.sealOff,
    fsync: !wire.fsyncOff,
    perms: !wire.permsOff,
    owner: wire.owner,
    follow: wire.follow,
    controller: controllerOf(wire.controller),
    discard: wire.discard,
    reread: wire.reread,
  };
}

function given<K extends string>(key: K, value: bigint | undefined): Partial<Record<K, number>> {
  return value === undefined ? {} : ({ [key]: safe(key, value) } as Record<K, number>);
}

function fromTable<K extends string>(table: Record<K, number>, value: number, otherwise: K): K {
  const found = (Object.keys(table) as K[]).find((key) => table[key] === value);
  return found ?? otherwise;
}

function safe(name: string, value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new PbError("invalid_argument", `${name}: ${value} is too large`, { peer: name });
  }
  return Number(value);
}

function bounded(name: string, value: number, { min, max }: { min: number; max: number }): number {
  if (value >= min && value <= max) return value;
  throw new PbError("invalid_argument", `${name}: ${value} is not within ${min} to ${max}`, { peer: name });
}

function chunkBytes(value: number): number {
  if (value === 0) return 0;
  bounded("chunk", value, { min: MIN_CHUNK_BYTES, max: MAX_CHUNK_BYTES });
  if ((value & (value - 1)) === 0) return value;
  throw new PbError("invalid_argument", `chunk: ${value} is not a power of two`, { peer: "chunk" });
}

function memoryBytes(value: bigint): number {
  if (value === 0n) return DEFAULT_MEMORY_BYTES;
  return bounded("memory", safe("memory", value), { min: MIN_MEMORY_BYTES, max: Number.MAX_SAFE_INTEGER });
}

/** The congestion controller by its name on the wire; "": chosen. */
export function controllerOf(text: string): TransferOptions["controller"] {
  if (text === "" || text === "bbr" || text === "cubic" || text === "ledbat") return text;
  throw new PbError("invalid_argument", `controller: "${text}" is none of bbr, cubic, ledbat`, {
    peer: "controller",
  });
}
