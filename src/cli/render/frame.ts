import type { PathSample, Progress } from "../../gen/packetboat/v1/transfer_pb.ts";
import { displayPath } from "../../model/path.ts";
import type { Colors } from "../output.ts";
import { shortenMiddle, widthOf, wrapParts } from "./text.ts";
import {
  formatBytes,
  formatBytesOf,
  formatClock,
  formatCount,
  formatRate,
  formatRatio,
  formatRtt,
  percentOf,
} from "./units.ts";

/** What stays the same while a transfer runs. */
export interface Heading {
  readonly source: string;
  readonly destination: string;
  readonly sealed: boolean;
}

export interface FrameOptions {
  readonly heading: Heading;
  readonly progress: Progress | undefined;
  /** Since the start, by the display's clock: it moves on when no news comes. */
  readonly elapsedSeconds: number;
  readonly columns: number;
  readonly colors: Colors;
}

const ARROW = " → ";
const LABEL = "network  ";

/** The live block: lines of at most `columns` columns. */
export function frameLines(options: FrameOptions): string[] {
  const { heading, progress, columns, colors } = options;
  const title = headingLine(heading, columns, colors);
  if (!progress) return [title, colors.dim(`connecting   ${formatClock(options.elapsedSeconds)}`)];
  const network = progress.waitingFor === "" ? networkLines(heading, progress, columns, colors) : [];
  return [
    title,
    barLine(options, progress),
    ...wrapParts("", countParts(progress, colors), columns),
    ...network,
    ...waitingLines(progress, columns, colors),
  ];
}

function headingLine({ source, destination }: Heading, columns: number, colors: Colors): string {
  const room = columns - widthOf(ARROW);
  // Each side may take what the other leaves, at least half.
  const half = Math.floor(room / 2);
  const right = shortenMiddle(destination, Math.max(half, room - widthOf(source)));
  const left = shortenMiddle(source, room - widthOf(right));
  return `${colors.bold(left)}${colors.dim(ARROW)}${colors.bold(right)}`;
}

function barLine({ elapsedSeconds, columns, colors }: FrameOptions, progress: Progress): string {
  const [bytes, total] = [Number(progress.bytes), Number(progress.totalBytes)];
  const percent = donePercent(progress);
  const end = ` ${String(percent).padStart(3)}%   ${formatClock(elapsedSeconds)}`;
  const width = columns - end.length;
  const full = total > 0 ? Math.min(width, Math.floor((bytes / total) * width)) : percent === 100 ? width : 0;
  return colors.green("━".repeat(full)) + colors.dim("─".repeat(width - full)) + end;
}

/** Between two attempts there is no network to tell of. */
function waitingLines(progress: Progress, columns: number, colors: Colors): string[] {
  const text = waitingText(progress);
  return text === undefined ? [] : [colors.yellow(shortenMiddle(text, columns))];
}

/** `waiting for box: retry 3 in 4 s`; undefined when nobody is waited for. */
export function waitingText({ waitingFor, retry, retryInMs }: Progress): string | undefined {
  if (waitingFor === "") return undefined;
  const seconds = Math.ceil(Number(retryInMs) / 1_000);
  const when = seconds <= 0 ? "now" : `in ${seconds} s`;
  return `waiting for ${displayPath(waitingFor)}: retry ${formatCount(retry)} ${when}`;
}

/** An empty tree is done when its listing is. */
export function donePercent(progress: Progress): number {
  if (progress.totalBytes === 0n && progress.listingDone && progress.files >= progress.totalFiles) return 100;
  return percentOf(Number(progress.bytes), Number(progress.totalBytes));
}

function countParts(progress: Progress, colors: Colors): string[] {
  const [bytes, total] = [Number(progress.bytes), Number(progress.totalBytes)];
  const more = progress.listingDone ? "" : "+";
  const parts = [
    `${formatBytesOf(bytes, total)}${more}`,
    colors.bold(formatRate(Number(progress.bytesPerSecond))),
    `ETA ${formatEta(progress)}`,
    formatFiles(progress),
  ];
  if (progress.skippedFiles > 0n) parts.push(`${formatCount(Number(progress.skippedFiles))} skipped`);
  if (progress.errors > 0n) parts.push(colors.red(errorCount(progress)));
  return parts;
}

/** `1,204 of 18,332+ files` while the listing goes on. */
export function formatFiles({ files, totalFiles, listingDone }: Progress): string {
  const noun = totalFiles === 1n && listingDone ? "file" : "files";
  return `${formatCount(Number(files))} of ${formatCount(Number(totalFiles))}${listingDone ? "" : "+"} ${noun}`;
}

function errorCount({ errors }: Progress): string {
  return `${formatCount(Number(errors))} error${errors === 1n ? "" : "s"}`;
}

/** Time to the end at the rate of now; "--:--" while it cannot be known. */
export function formatEta(progress: Progress): string {
  const left = Number(progress.totalBytes - progress.bytes);
  const rate = Number(progress.bytesPerSecond);
  if (left <= 0 && progress.listingDone) return "0:00";
  return rate > 0 && progress.listingDone ? formatClock(left / rate) : "--:--";
}

/** Always the same parts on a line: numbers that change must not make the rest jump. */
function networkLines(heading: Heading, progress: Progress, columns: number, colors: Colors): string[] {
  const { path, flow } = networkParts(heading, progress, colors);
  const first = wrapParts(colors.dim(LABEL), path, columns);
  return flow.length === 0 ? first : [...first, ...wrapParts(" ".repeat(LABEL.length), flow, columns)];
}

export interface NetworkParts {
  /** What the path is: transport, round trip, loss. */
  readonly path: readonly string[];
  /** What goes over it now: rate, bytes in flight of those that may be, what holds it back. */
  readonly flow: readonly string[];
}

export function networkParts(heading: Heading, progress: Progress, colors: Colors): NetworkParts {
  const limit = limitPart(progress, colors);
  if (progress.transport === "") return { path: ["connecting"], flow: [] };
  if (progress.transport === "memory") return { path: ["none, one machine", ...limit], flow: [] };
  const lanes = progress.lanes.length;
  const seal = heading.sealed ? "sealed" : colors.yellow("not sealed");
  const path = [
    `${progress.transport} ${seal}${lanes > 0 ? `, ${lanes} lane${lanes === 1 ? "" : "s"}` : ""}`,
  ];
  if (progress.rttNs > 0n || progress.minRttNs > 0n) path.push(rttPart(progress));
  path.push(lossPart(progress, colors));
  return { path, flow: [...flightParts(progress.lanes), ...limit] };
}

function rttPart({ rttNs, minRttNs }: Progress): string {
  const [now, min] = [Number(rttNs) / 1e6, Number(minRttNs) / 1e6];
  if (now === 0 || min === 0) return `RTT ${formatRtt(now || min)}`;
  return `RTT ${formatRtt(now)} (min ${formatRtt(min)})`;
}

/** From here on loss is worth a colour: beyond it loss-based senders lose most of their rate (Mathis et al. 1997). */
const NOTABLE_LOSS = 0.01;

function lossPart({ lossRate }: Progress, colors: Colors): string {
  const text = `loss ${formatRatio(lossRate)}`;
  return lossRate >= NOTABLE_LOSS ? colors.yellow(text) : text;
}

function flightParts(lanes: readonly PathSample[]): string[] {
  const sum = (of: (lane: PathSample) => bigint) =>
    lanes.reduce((total, lane) => total + Number(of(lane)), 0);
  const parts: string[] = [];
  const delivered = sum((lane) => lane.deliveryRate);
  if (delivered > 0) parts.push(`path ${formatRate(delivered)}`);
  const window = sum((lane) => lane.congestionWindow);
  const flight = sum((lane) => lane.bytesInFlight);
  if (window > 0) parts.push(`in flight ${formatBytesOf(flight, window)}`);
  else if (flight > 0) parts.push(`in flight ${formatBytes(flight)}`);
  return parts;
}

function limitPart({ limitedBy }: Progress, colors: Colors): string[] {
  return limitedBy === "" ? [] : [`limited by ${colors.cyan(limiter(limitedBy))}`];
}

/** What holds the transfer back, in words. */
export function limiter(limitedBy: string): string {
  const words: Readonly<Record<string, string>> = {
    application: "the source",
    cpu: "processors",
    congestion: "the network",
    receiver: "the receiver",
    pacing: "pacing",
    limit: "--limit",
  };
  return words[limitedBy] ?? limitedBy;
}
