import type { Receipt } from "../../gen/packetboat/v1/transfer_pb.ts";
import type { Colors } from "../output.ts";
import { limiter } from "./frame.ts";
import { redoneSummary } from "./redone.ts";
import { wrapParts } from "./text.ts";
import { formatBytes, formatRate, formatRatio, formatRtt, formatSeconds, plural } from "./units.ts";

const LABEL_WIDTH = 10;

export interface SummaryOptions {
  readonly columns: number;
  readonly colors: Colors;
  /** What was asked for that has a price. */
  readonly notes?: readonly string[];
  /** Say, too, how often processors copied a byte. */
  readonly copies?: boolean;
}

/** A receipt for people: a few lines, each of at most `columns` columns where its parts allow. */
export function summaryLines(
  receipt: Receipt,
  { notes = [], columns, colors, copies = false }: SummaryOptions,
): string[] {
  const line = (label: string, parts: readonly string[]) =>
    parts.length === 0 ? [] : wrapParts(label.padEnd(LABEL_WIDTH), parts, columns);
  const painted = (lines: string[], paint: (text: string) => string) =>
    lines.map((text, at) => (at === 0 ? paint(text.slice(0, LABEL_WIDTH)) + text.slice(LABEL_WIDTH) : text));
  const paint = receipt.state === "done" ? colors.green : colors.red;
  return [
    ...painted(line(receipt.state, resultParts(receipt)), paint),
    ...painted(line("network", networkSummary(receipt, colors)), colors.dim),
    ...painted(line("resumed", resumedParts(receipt)), colors.dim),
    ...painted(line("copies", copies ? copyParts(receipt) : []), colors.dim),
    ...painted(line("kept", skippedParts(receipt)), colors.dim),
    ...painted(line("moved", movedParts(receipt)), colors.dim),
    ...painted(line("note", notes), colors.yellow),
    ...painted(line("errors", errorParts(receipt)), colors.red),
  ];
}

function resultParts(receipt: Receipt): string[] {
  const { seconds } = receipt;
  const parts = [
    `${formatBytes(Number(receipt.bytes))} in ${plural(Number(receipt.files), "file")}`,
    formatSeconds(seconds),
    formatRate(receipt.bytesPerSecond),
  ];
  if (receipt.verified !== "") parts.push(`verified ${receipt.verified}`);
  if (receipt.discarded) parts.push("discarded: nothing was written");
  if (receipt.chunksRefetched > 0n)
    parts.push(`${plural(Number(receipt.chunksRefetched), "chunk")} fetched again`);
  return parts;
}

function networkSummary(receipt: Receipt, colors: Colors): string[] {
  if (receipt.transport === "" || receipt.transport === "memory") return [];
  const seal = receipt.sealed ? "sealed" : colors.yellow("not sealed");
  const lanes = receipt.lanes > 0 ? `, ${plural(receipt.lanes, "lane")}` : "";
  const parts = [`${receipt.transport} ${seal}${lanes}`];
  if (receipt.rttMs > 0) parts.push(`RTT ${formatRtt(receipt.rttMs)} (min ${formatRtt(receipt.minRttMs)})`);
  if (receipt.paths.some(({ warm }) => warm)) parts.push("path known");
  parts.push(`loss ${formatRatio(receipt.lossRate)}`);
  if (receipt.retransmittedBytes > 0n)
    parts.push(`${formatBytes(Number(receipt.retransmittedBytes))} sent again`);
  if (receipt.limitedBy !== "") parts.push(`limited by ${limiter(receipt.limitedBy)}`);
  return parts;
}

function resumedParts({ resumedBytes, resumedFiles, redoneFiles, redone, attempts }: Receipt): string[] {
  const parts: string[] = [];
  if (resumedBytes > 0n || resumedFiles > 0n) {
    const of = resumedFiles > 0n ? `, of ${plural(Number(resumedFiles), "file")}` : "";
    parts.push(`${formatBytes(Number(resumedBytes))} not sent again${of}`);
  }
  if (redoneFiles > 0n) parts.push(redoneSummary(redoneFiles, redone));
  if (attempts > 1) parts.push(plural(attempts, "attempt"));
  return parts;
}

function copyParts({ copiesPerByte, copies }: Receipt): string[] {
  if (copies.length === 0) return [];
  const of = (wanted: string) =>
    copies.flatMap(({ side, step, perByte }) => (side === wanted ? [`${step} ${perByte.toFixed(2)}`] : []));
  const sides = ["sender", "receiver"].map((side) => `${side}: ${of(side).join(", ")}`);
  return [`${copiesPerByte.toFixed(2)} a byte`, ...sides];
}

function skippedParts({ skippedFiles, skippedBytes }: Receipt): string[] {
  if (skippedFiles === 0n) return [];
  return [`${plural(Number(skippedFiles), "file")} already there (${formatBytes(Number(skippedBytes))})`];
}

function movedParts({ removedSources }: Receipt): string[] {
  return removedSources === 0n
    ? []
    : [`${plural(Number(removedSources), "source")} removed after their copies were durable`];
}

function errorParts({ errors, moreErrors }: Receipt): string[] {
  const all = errors.length + Number(moreErrors);
  return all === 0 ? [] : [`${plural(all, "error")}, listed above`];
}
