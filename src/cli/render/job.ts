import type { CheckpointStats, Job } from "../../gen/packetboat/v1/job_pb.ts";
import type { Progress } from "../../gen/packetboat/v1/transfer_pb.ts";
import { displayPath } from "../../model/path.ts";
import type { Colors } from "../output.ts";
import { donePercent, formatEta } from "./frame.ts";
import { errorInfoRecord, receiptRecord } from "./receipt.ts";
import { redoneLines } from "./redone.ts";
import { formatTable, shortenMiddle, widthOf } from "./text.ts";
import { formatBytes, formatBytesOf, formatCount, formatRate, plural } from "./units.ts";

/** A job for programs: camelCase, integer bytes, ISO 8601, null where there is nothing. */
export function jobRecord(job: Job): Record<string, unknown> {
  return {
    id: job.id,
    label: orNull(job.label),
    state: job.state,
    source: job.source,
    destination: job.destination,
    move: job.move,
    resumable: job.resumable,
    createdAt: orNull(job.createdAt),
    changedAt: orNull(job.changedAt),
    pid: job.pid || null,
    runs: job.runs,
    progress: job.progress ? progressRecord(job.progress) : null,
    keptFiles: Number(job.keptFiles),
    keptBytes: Number(job.keptBytes),
    checkpoint: job.checkpoint ? checkpointRecord(job.checkpoint) : null,
    receipt: job.receipt ? receiptRecord(job.receipt) : null,
    error: job.error ? errorInfoRecord(job.error) : null,
  };
}

const orNull = (text: string) => (text === "" ? null : text);

export function progressRecord(progress: Progress): Record<string, unknown> {
  return {
    bytes: Number(progress.bytes),
    totalBytes: Number(progress.totalBytes),
    files: Number(progress.files),
    totalFiles: Number(progress.totalFiles),
    listingDone: progress.listingDone,
    skippedFiles: Number(progress.skippedFiles),
    errors: Number(progress.errors),
    bytesPerSecond: Number(progress.bytesPerSecond),
    seconds: progress.seconds,
    transport: progress.transport,
    limitedBy: progress.limitedBy,
    rttMs: Number(progress.rttNs) / 1e6,
    minRttMs: Number(progress.minRttNs) / 1e6,
    lossRate: progress.lossRate,
    resumedBytes: Number(progress.resumedBytes),
    resumedFiles: Number(progress.resumedFiles),
    waitingFor: orNull(progress.waitingFor),
    retry: progress.retry,
    retryInMs: Number(progress.retryInMs),
  };
}

function checkpointRecord(stats: CheckpointStats): Record<string, unknown> {
  return {
    queueDepth: stats.queueDepth,
    oldestUnflushedMs: Number(stats.oldestUnflushedMs),
    flushLatency: stats.flushLatency.map(({ atMostMs, count }) => ({
      atMostMs: Number.isFinite(atMostMs) ? atMostMs : null,
      count: Number(count),
    })),
    flushes: Number(stats.flushes),
    bytesWritten: Number(stats.bytesWritten),
    fsyncs: Number(stats.fsyncs),
    bytesPerSecond: stats.bytesPerSecond,
    fsyncsPerSecond: stats.fsyncsPerSecond,
    workers: stats.workers,
  };
}

/** Places are shortened to what a screen of `screen` columns has for them; without one they are whole. */
export function jobTable(jobs: readonly Job[], colors: Colors, screen?: number): string {
  const widest = screen === undefined ? undefined : placeColumns(jobs, screen);
  const place = (text: string) =>
    widest === undefined ? displayPath(text) : shortenMiddle(displayPath(text), widest);
  const columns = ["ID", "STATE", "DONE", "SOURCE", "DESTINATION", "LABEL", "CHANGED"].map((title) => ({
    title,
  }));
  const rows = jobs.map((job) => [
    job.id.slice(0, 8),
    paint(job.state, colors),
    doneOf(job),
    place(job.source),
    place(job.destination),
    displayPath(job.label),
    timeOf(job.changedAt),
  ]);
  return formatTable(columns, rows);
}

/** Columns of ID, STATE, DONE and CHANGED with the gaps between all seven. */
const OTHER_COLUMNS = 8 + 11 + 4 + 16 + 6 * 2;
/** Less says nothing of a place. */
const MIN_PLACE_COLUMNS = 8;

/** The most for each place, so that the widest of both and of the labels fit beside the rest. */
function placeColumns(jobs: readonly Job[], screen: number): number {
  const widest = (of: (job: Job) => string, title: string) =>
    Math.max(widthOf(title), ...jobs.map((job) => widthOf(displayPath(of(job)))));
  const left = screen - OTHER_COLUMNS - widest(({ label }) => label, "LABEL");
  const shorter = Math.min(
    widest(({ source }) => source, "SOURCE"),
    widest(({ destination }) => destination, "DESTINATION"),
  );
  return Math.max(MIN_PLACE_COLUMNS, Math.floor(left / 2), left - shorter);
}

function paint(state: string, colors: Colors): string {
  if (state === "running") return colors.green(state);
  if (state === "failed" || state === "partial" || state === "damaged") return colors.red(state);
  return state === "interrupted" || state === "paused" ? colors.yellow(state) : state;
}

function doneOf({ state, progress }: Job): string {
  if (state === "done") return "100%";
  return progress ? `${donePercent(progress)}%` : "";
}

/** To the minute, in UTC as all times here are. */
function timeOf(iso: string): string {
  return iso.slice(0, 16).replace("T", " ");
}

const LABEL_WIDTH = 13;

export function jobText(job: Job, colors: Colors): string {
  const line = (label: string, text: string) => (text === "" ? [] : [`${label.padEnd(LABEL_WIDTH)}${text}`]);
  const { progress } = job;
  return [
    ...line("id", job.id),
    ...line("state", `${paint(job.state, colors)}${job.pid > 0 ? `, process ${job.pid}` : ""}`),
    ...line("label", displayPath(job.label)),
    ...line(job.move ? "moves" : "copies", displayPath(job.source)),
    ...line("to", displayPath(job.destination)),
    ...line("made", timeOf(job.createdAt)),
    ...line("changed", timeOf(job.changedAt)),
    ...line("runs", job.runs > 0 ? String(job.runs) : ""),
    ...line("progress", progress ? progressText(progress) : ""),
    ...line("kept", keptText(job)),
    ...redoneOf(job).flatMap((text, at) => line(at === 0 ? "begun anew" : "", text)),
    ...line("checkpoint", job.checkpoint ? checkpointText(job.checkpoint) : ""),
    ...line("error", job.error ? colors.red(displayPath(job.error.message)) : ""),
    ...line("", hintOf(job)),
  ].join("\n");
}

function progressText(progress: Progress): string {
  const bytes = formatBytesOf(Number(progress.bytes), Number(progress.totalBytes));
  const files = `${formatCount(Number(progress.files))} of ${plural(Number(progress.totalFiles), "file")}`;
  return `${bytes}, ${donePercent(progress)}%, ${files}, ${formatRate(Number(progress.bytesPerSecond))}, ETA ${formatEta(progress)}`;
}

function keptText({ keptFiles, keptBytes }: Job): string {
  if (keptFiles === 0n && keptBytes === 0n) return "";
  return `${formatBytes(Number(keptBytes))} need not be sent again, ${plural(Number(keptFiles), "file")} whole`;
}

function redoneOf({ receipt }: Job): string[] {
  return receipt ? redoneLines(receipt.redoneFiles, receipt.redone) : [];
}

function checkpointText(stats: CheckpointStats): string {
  const waits = `${stats.queueDepth} waiting, the oldest for ${stats.oldestUnflushedMs} ms`;
  const flow = `${formatRate(stats.bytesPerSecond)}, ${stats.fsyncsPerSecond.toFixed(1)} syncs/s`;
  const median = medianOf(stats);
  const latency =
    median === undefined ? "" : `, half of ${formatCount(Number(stats.flushes))} flushes within ${median} ms`;
  return `${waits}; ${flow}${latency}`;
}

/** The bound of the bucket in which half of all lie. */
function medianOf({ flushLatency }: CheckpointStats): number | undefined {
  const all = flushLatency.at(-1)?.count ?? 0n;
  if (all === 0n) return undefined;
  return flushLatency.find(({ count }) => count * 2n >= all)?.atMostMs;
}

const CAN_GO_ON: ReadonlySet<string> = new Set(["interrupted", "paused", "failed"]);

function hintOf({ id, state, resumable }: Job): string {
  const short = id.slice(0, 8);
  if (!resumable && state === "interrupted") {
    return `a stream can't go on; what it left goes with: pb jobs forget ${short}, or with the next to the same place`;
  }
  return resumable && CAN_GO_ON.has(state) ? `go on with: pb jobs resume ${short}` : "";
}
