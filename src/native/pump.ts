/** Jobs whose bytes JavaScript carries: what the engine asks, and how it is answered (native/pb-io/src/pump.rs). */

import type { EntryKind } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import type { Addon } from "./addon.ts";

/** A file, folder or link that a call is about. */
export interface PumpSubject {
  /** `PathText`: `SendEntry.source`, or below the receiving job's base. */
  readonly path: string;
  readonly kind: EntryKind;
  /** Infinity: of a stream, known at its end ("create"); the "offer" of one says 0. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly mode: number;
  /** `SendEntry.inode`, or what `PumpCalls.version` said; 0n: none. */
  readonly version: bigint;
}

/**
 * Of a source: "open" (answered by `version`), "read" (fill the memory from `offset`), "finish" (is it still that version?), "close" (not
 * answered), "whole" (fill the memory with a small file; `version`), "remove" (if it still is that version). Of a sink: "offer" (`wanted`),
 * "folder", "link" (its text is the memory; `wanted` false: left out), "create", "write" (the memory at `offset`), "commit" (`offset` is its size, the memory its BLAKE3), "discard"
 * (not answered), "put" (a small file: the memory), "end" (all is there), "known" (an earlier run finished this file: `wanted`, unless it is as it was
 * left), "resume" (go on with what an earlier run wrote; the memory is its state, `offset` how far an end that writes in order has come; `has`), "state"
 * (make durable what was written; `state`), "leave" (a later run goes on with it), "forget" (remove what an earlier run wrote; the memory is its
 * state). "create" may be answered by `state`: what names what a killed process would leave.
 */
export type PumpKind =
  | "open"
  | "read"
  | "finish"
  | "close"
  | "whole"
  | "remove"
  | "offer"
  | "folder"
  | "link"
  | "create"
  | "write"
  | "commit"
  | "discard"
  | "put"
  | "end"
  | "known"
  | "resume"
  | "state"
  | "leave"
  | "forget";

export interface PumpAsk {
  /** Of the call; answered with it, once. */
  readonly number: number;
  readonly kind: PumpKind;
  /** Of the file: calls about one have one. */
  readonly id: number;
  readonly offset: number;
  /** Bytes of the call's memory. */
  readonly length: number;
  readonly subject?: PumpSubject;
}

/** Answers. What is said of a call that is over (its job has ended) is not heard. */
export interface PumpCalls {
  /** Copies out of the memory into all of `into`; false when the call is over. */
  take(number: number, into: Uint8Array): boolean;
  /** Copies all of `from` into the memory; both have one length. */
  fill(number: number, from: Uint8Array): boolean;
  /** What is to be written waits for longer than the sender's credit that it holds may: the memory becomes a copy, and the credit goes. */
  keepCopy(number: number): void;
  /** Of calls that follow each other: for what fills it, and answers them, or sends it, without JavaScript. */
  memory(asks: readonly PumpAsk[]): CallMemory;
  done(number: number): void;
  version(number: number, what: PumpVersion): void;
  wanted(number: number, wanted: boolean): void;
  /** Empty: it can't be gone on with. */
  state(number: number, state: Uint8Array): void;
  /** From and up to, of each range of bytes that is there, in turn. */
  has(number: number, ranges: readonly number[]): void;
  fail(number: number, error: PbError): void;
}

/** What fills memory, and what it has not begun with yet. */
export interface Filling {
  /** Calls. */
  left(): number;
  /** Gives up the rear half of those: their numbers. */
  split(): readonly number[];
}

/** Memory of calls, one after the other. */
export class CallMemory {
  readonly handle: Addon.NativePump;
  /** While something fills it. */
  filling: Filling | undefined;
  #open: readonly PumpAsk[];

  constructor(asks: readonly PumpAsk[], handle: Addon.NativePump) {
    this.#open = asks;
    this.handle = handle;
  }

  get offset(): number {
    return this.#open[0]?.offset ?? 0;
  }

  get length(): number {
    return this.#open.reduce((sum, { length }) => sum + length, 0);
  }

  /** Of the calls that are not answered. */
  get numbers(): number[] {
    return this.#open.map(({ number }) => number);
  }

  /** Those of it that are not answered, as far as what filled it has said. */
  get asks(): readonly PumpAsk[] {
    return this.#open;
  }

  /** A copy of what is in it, where it is of one call. */
  bytes(): Uint8Array {
    const into = Buffer.allocUnsafeSlow(this.length);
    for (const number of this.numbers.slice(0, 1)) this.handle.take(number, into);
    return into;
  }

  /** Calls that nobody has begun to fill. */
  left(): number {
    return this.filling?.left() ?? 0;
  }

  /** Takes the rear half of those out of it, for somebody else to fill. */
  split(): readonly PumpAsk[] {
    const at = this.#open.length - (this.filling?.split().length ?? 0);
    const taken = this.#open.slice(at);
    this.#open = this.#open.slice(0, at);
    return taken;
  }

  /** So many at the end are still open. */
  keep(count: number): void {
    this.#open = this.#open.slice(this.#open.length - count);
  }
}

/** What of `FillableMemory` and `SendableMemory` is behind them. */
export function callsOf(memory: unknown): CallMemory {
  if (memory instanceof CallMemory) return memory;
  throw new PbError("internal", "memory of another engine");
}

export interface PumpVersion {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly version: bigint;
  /** May it be read at several offsets at once? */
  readonly parallel: boolean;
}

/** UNKNOWN_SIZE of pb-proto's message/item.rs, 2^62 - 1, as a number of JavaScript. */
const UNKNOWN_SIZE = 2 ** 62;

/** Hears what the engine asks; must not throw. */
export type Pump = (ask: PumpAsk, calls: PumpCalls) => void;

/** `pump` as the addon calls it. The handle by which calls are answered is there once the job is: calls come no sooner than the next turn. */
export function nativePump(pump: Pump, handle: () => Addon.NativePump): (ask: Addon.NativeAsk) => void {
  const calls: PumpCalls = {
    take: (number, into) => handle().take(number, into),
    fill: (number, from) => handle().fill(number, from),
    keepCopy: (number) => handle().keepCopy(number),
    memory: (asks) => new CallMemory(asks, handle()),
    done: (number) => handle().done(number),
    version: (number, { size, mtimeNs, version, parallel }) =>
      handle().version(number, size, mtimeNs, version, parallel),
    wanted: (number, wanted) => handle().wanted(number, wanted),
    state: (number, state) => handle().state(number, state),
    has: (number, ranges) => handle().has(number, [...ranges]),
    fail: (number, { code, message }) => handle().fail(number, code, message),
  };
  return ({ number, kind, id, offset, length, subject }) => {
    const about = subject && {
      subject: {
        ...subject,
        path: pathText(subject.path),
        kind: subject.kind as EntryKind,
        size: subject.size >= UNKNOWN_SIZE ? Number.POSITIVE_INFINITY : subject.size,
      },
    };
    pump({ number, kind: kind as PumpKind, id, offset, length, ...about }, calls);
  };
}
