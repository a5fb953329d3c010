import { create } from "@bufbuild/protobuf";
import type { Confirmed } from "../backend/backend.ts";
import {
  type Notice,
  NoticeSchema,
  ProgressSchema,
  type StartResponse,
  StartResponseSchema,
} from "../gen/packetboat/v1/transfer_pb.ts";
import type { ErrorCode, PbError } from "../model/error.ts";
import type { JobProgress, JobResult, LaneSample, RedoneFile } from "../native/types.ts";
import { errorToWire } from "../wire/error.ts";
import { sampleToWire } from "../wire/sample.ts";
import { Confirmations } from "./confirmations.ts";
import { Copies } from "./copies.ts";
import { ErrorLog } from "./error-log.ts";
import { EventQueue } from "./event-queue.ts";
import { summarizeLanes } from "./lanes.ts";
import { type Counts, countsOf, Tally } from "./tally.ts";
import { type LimitTimes, limitTimes, Window } from "./window.ts";

/** At most ten progress events a second. */
const MIN_INTERVAL_MS = 100;
/** Without news progress is still said, so that a stall shows. */
const MAX_INTERVAL_MS = 500;

/** As many as a receipt names; the others are counted. */
const MAX_REDONE = 1_000;

/** The key of counters that no job keeps; jobs count from 1. */
const APART = 0;

const CONNECTION: ReadonlySet<ErrorCode> = new Set([
  "connection_lost",
  "timeout",
  "unreachable",
  "protocol_violation",
]);

/** What the listing, here or at the far side, has found. */
export interface Found {
  readonly files: number;
  readonly bytes: number;
  readonly done: boolean;
}

/** Between two attempts. */
export interface Waiting {
  readonly peer: string;
  /** Number of the attempt to come, the first retry being 1. */
  readonly retry: number;
  /** By the reporter's clock. */
  readonly untilMs: number;
}

export interface ReporterOptions {
  readonly limitBytesPerSecond: number;
  /** See `Tally`. */
  readonly moves?: boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Gathers what jobs, listings and lanes tell, and makes the transfer's events of it. */
export class Reporter {
  readonly events = new EventQueue<StartResponse>(
    (newer, waiting) => newer.event.case === "progress" && waiting.event.case === "progress",
  );
  readonly errors = new ErrorLog();
  readonly notices: Notice[] = [];
  /** That the destination can't have. */
  leftOutLinks = 0;
  readonly copies = new Copies();
  readonly #redone = new Map<string, string>();
  readonly confirmations = new Confirmations();
  readonly #tally: Tally;
  #window: Window;
  readonly #limitBytesPerSecond: number;
  readonly #now: () => number;
  readonly #startedMs: number;
  readonly #timer: NodeJS.Timeout;
  #found: Found = { files: 0, bytes: 0, done: false };
  #lanes: () => readonly LaneSample[] = () => [];
  #limits: () => LimitTimes = () => limitTimes([]);
  #transport = "";
  #peer = "";
  #place = (path: string) => path;
  #explain = (error: PbError) => error;
  #removedFar = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #sentBefore = 0;
  /** Are the bytes of `#lanes` in `#sentBefore`? */
  #sentCounted = true;
  #waiting: Waiting | undefined;
  #before: Counts | undefined;
  #listedBefore = false;
  /** Sessions so far. */
  attempts = 1;

  constructor(options: ReporterOptions) {
    this.#limitBytesPerSecond = options.limitBytesPerSecond;
    this.#tally = new Tally(options.moves);
    this.#window = new Window(options.limitBytesPerSecond);
    this.#now = options.now;
    this.#startedMs = options.now();
    this.#window.add(this.#startedMs, 0, limitTimes([]));
    this.#timer = setInterval(() => this.#tick(), MAX_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Counters of a job, and its new errors. */
  job(job: number, progress: JobProgress): void {
    this.#tally.update(job, countsOf(progress));
    this.#jobErrors(progress.errors);
    this.redone(progress.redone);
    this.#tick();
  }

  jobEnded(job: number, result: JobResult): void {
    this.job(job, result);
    // One that went to its end leaves nothing to who aborted it, or to another attempt.
    if (result.state === "partial") for (const error of result.allErrors) this.error(this.#placed(error));
    else this.#jobErrors(result.allErrors);
    this.#tally.settle(job);
  }

  /** That a job was aborted says nothing: who aborted it says why. That it lost its peer is for the attempt to deal with. */
  #jobErrors(errors: readonly PbError[]): void {
    for (const error of errors) {
      if (error.code !== "aborted" && !isLoss(error)) this.error(this.#placed(error));
    }
  }

  /** The lanes as they were last, before what they belong to is closed. */
  attemptEnds(): void {
    this.#sentBefore += sentBytes(this.#lanes());
    const last = this.#lanes();
    this.#lanes = () => last;
    const lastLimits = this.#limits();
    this.#limits = () => lastLimits;
    this.#sentCounted = true;
  }

  /** What was lost is tried again: counters of the whole begin anew, what was brought stays counted. */
  nextAttempt(): void {
    this.attempts += 1;
    this.#before = this.#shown();
    this.#tally.nextAttempt();
    this.errors.nextAttempt();
    this.#listedBefore ||= this.#found.done;
    this.#found = { files: 0, bytes: 0, done: false };
    this.#window = new Window(this.#limitBytesPerSecond);
  }

  /** Says who is waited for until the next attempt; undefined: nobody any more. */
  waits(waiting: Waiting | undefined): void {
    this.#waiting = waiting;
    this.progress();
  }

  /** From the paths that the engine gives in a job's errors to those that the user knows. */
  jobPaths(place: (path: string) => string): void {
    this.#place = place;
  }

  #placed(given: PbError): PbError {
    const error = this.#explain(given);
    return error.path === undefined ? error : error.about({ path: this.#place(error.path) });
  }

  /** Who knows more of a job's errors than the engine. */
  explainWith(explain: (error: PbError) => PbError): void {
    this.#explain = explain;
  }

  /** Sources that were removed, where the far side counts them. */
  removedSources(count: number): void {
    this.#removedFar = Math.max(this.#removedFar, count);
  }

  /** Counters that no job keeps. */
  apart(counts: Counts): void {
    this.#tally.update(APART, counts);
    this.#tick();
  }

  found(found: Found): void {
    this.#found = found;
    this.#tick();
  }

  error(given: PbError): void {
    const error = CONNECTION.has(given.code) ? namePeer(given, this.#peer) : given;
    if (this.errors.add(error)) this.#push({ case: "error", value: errorToWire(error) });
  }

  /** Files that were begun anew, as their receiver tells it. */
  redone(files: readonly RedoneFile[]): void {
    for (const { path, reason } of files) {
      if (this.#redone.size < MAX_REDONE || this.#redone.has(path)) this.#redone.set(path, reason);
    }
  }

  /** Of all attempts, each once: the last reason counts. */
  get redoneFiles(): readonly RedoneFile[] {
    return Array.from(this.#redone, ([path, reason]) => ({ path, reason }));
  }

  /** Who is at the other end: errors of the connection name it. */
  peer(name: string): void {
    this.#peer = name;
  }

  /** An endpoint without an engine has confirmed a file by itself. */
  confirmed(confirmed: Confirmed): void {
    this.confirmations.add(confirmed);
  }

  /** Each code is said once. */
  notice(code: string, message: string): void {
    if (this.notices.some((said) => said.code === code)) return;
    const notice = create(NoticeSchema, { code, message });
    this.notices.push(notice);
    this.#push({ case: "notice", value: notice });
  }

  /** Where the lanes of the sending side are seen, and those of the receiving side. */
  watchLanes(lanes: () => readonly LaneSample[], receiving: () => readonly LaneSample[] = () => []): void {
    this.#lanes = lanes;
    this.#limits = () => limitTimes(lanes(), receiving());
    this.#sentCounted = false;
  }

  /** Where it is seen what holds the copy up, if not from the lanes that are shown. */
  watchLimits(limits: () => LimitTimes): void {
    this.#limits = limits;
  }

  /** Put on the wire by all attempts, retransmissions apart. */
  get bytesSent(): number {
    return this.#sentBefore + (this.#sentCounted ? 0 : sentBytes(this.#lanes()));
  }

  transport(name: string): void {
    this.#transport = name;
  }

  /** Another engine's event, passed on as it is. */
  pass(event: StartResponse): void {
    this.events.push(event);
  }

  /** Of all attempts. */
  get counts(): Counts {
    const total = this.#withFound(this.#tally.total);
    // A sender hears how many there were with the end alone, and not of an attempt that was lost.
    return { ...total, redoneFiles: Math.max(total.redoneFiles, this.#redone.size) };
  }

  /** Until another attempt knows what there is, what the one before it knew is shown. */
  #shown(): Counts {
    const now = this.#withFound(this.#tally.counts);
    if (this.#before && now.totalBytes === 0 && now.totalFiles === 0) return this.#before;
    this.#before = undefined;
    return now;
  }

  #withFound(counts: Counts): Counts {
    return {
      ...counts,
      totalBytes: Math.max(counts.totalBytes, this.#found.bytes),
      totalFiles: Math.max(counts.totalFiles, this.#found.files),
      removedSources: Math.max(counts.removedSources, this.#removedFar),
    };
  }

  /** What has held the lanes up so far. */
  get limitTimes(): LimitTimes {
    return this.#limits();
  }

  get lanes(): readonly LaneSample[] {
    return this.#lanes();
  }

  /** Verified by all attempts, without what was durable before. */
  get broughtBytes(): number {
    const { bytes, resumedBytes } = this.counts;
    return Math.max(0, bytes - resumedBytes);
  }

  /** Bytes and sources that this attempt alone has dealt with. */
  get attemptBrought(): number {
    const { bytes, resumedBytes, removedSources } = this.#tally.counts;
    return Math.max(0, bytes - resumedBytes) + removedSources;
  }

  get peerName(): string {
    return this.#peer;
  }

  /** Monotonic milliseconds, by the clock that `waits` goes by. */
  now(): number {
    return this.#now();
  }

  get transportName(): string {
    return this.#transport;
  }

  get seconds(): number {
    return (this.#now() - this.#startedMs) / 1_000;
  }

  /** No more progress; what waits can still be read. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = this.#now();
    if (nowMs - this.#lastMs < MIN_INTERVAL_MS) return;
    this.#lastMs = nowMs;
    this.progress();
  }

  /** Says how far the transfer is, now. */
  progress(): void {
    const lanes = this.#lanes();
    const counts = this.#shown();
    this.#window.add(this.#now(), counts.bytes - counts.resumedBytes, this.limitTimes);
    const path = summarizeLanes(lanes);
    const value = create(ProgressSchema, {
      bytes: BigInt(counts.bytes),
      totalBytes: BigInt(counts.totalBytes),
      files: BigInt(counts.files),
      totalFiles: BigInt(counts.totalFiles),
      listingDone: this.#found.done || (this.#before !== undefined && this.#listedBefore),
      skippedFiles: BigInt(counts.skippedFiles),
      errors: BigInt(this.errors.count),
      bytesPerSecond: BigInt(Math.round(this.#window.bytesPerSecond())),
      seconds: this.seconds,
      transport: this.#transport,
      limitedBy: this.#window.limitedBy(),
      rttNs: BigInt(Math.round(path.smoothedRttNs)),
      minRttNs: BigInt(Math.round(path.minRttNs)),
      lossRate: path.lossRate,
      lanes: lanes.map(sampleToWire),
      resumedBytes: BigInt(counts.resumedBytes),
      resumedFiles: BigInt(counts.resumedFiles),
      ...this.#waitingFields(),
    });
    this.#push({ case: "progress", value });
  }

  #waitingFields() {
    if (!this.#waiting) return {};
    const { peer, retry, untilMs } = this.#waiting;
    const leftMs = Math.max(0, Math.round(untilMs - this.#now()));
    return { waitingFor: peer, retry, retryInMs: BigInt(leftMs) };
  }

  #push(event: StartResponse["event"]): void {
    this.events.push(create(StartResponseSchema, { event }));
  }
}

/** An error of the connection, not of a file. */
export function isLoss(error: PbError): boolean {
  return error.path === undefined && CONNECTION.has(error.code) && error.retryable;
}

function sentBytes(lanes: readonly LaneSample[]): number {
  const { bytesSent, bytesRetransmitted } = summarizeLanes(lanes);
  return Math.max(0, bytesSent - bytesRetransmitted);
}

/** The error, naming who was at the other end unless it names someone. */
export function namePeer(error: PbError, peer: string): PbError {
  return error.peer !== undefined || peer === "" ? error : error.about({ peer });
}
