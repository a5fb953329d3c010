import { createColors } from "picocolors";
import type { Progress } from "../../gen/packetboat/v1/transfer_pb.ts";
import { donePercent, formatEta, formatFiles, type Heading, networkParts, waitingText } from "./frame.ts";
import { formatBytesOf, formatClock, formatCount, formatRate } from "./units.ts";

const colorless = createColors(false);

/** Progress on one line, for logs and pipes. */
export function plainLine(heading: Heading, progress: Progress): string {
  const more = progress.listingDone ? "" : "+";
  const counts = [
    formatClock(progress.seconds),
    `${formatBytesOf(Number(progress.bytes), Number(progress.totalBytes))}${more}`,
    `${donePercent(progress)}%`,
    formatRate(Number(progress.bytesPerSecond)),
    `ETA ${formatEta(progress)}`,
    formatFiles(progress),
    `${formatCount(Number(progress.skippedFiles))} skipped`,
    `${formatCount(Number(progress.errors))} errors`,
  ];
  const waiting = waitingText(progress);
  if (waiting !== undefined) return `${counts.join(", ")}; ${waiting}`;
  const { path, flow } = networkParts(heading, progress, colorless);
  return `${counts.join(", ")}; network: ${[...path, ...flow].join(", ")}`;
}
