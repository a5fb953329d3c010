import type { RedoneFile } from "../../gen/packetboat/v1/transfer_pb.ts";
import { displayPath, pathText } from "../../model/path.ts";
import { formatCount, plural } from "./units.ts";

const WORDS: Readonly<Record<string, string>> = {
  source_changed: "source changed",
  destination_changed: "destination changed",
  part_lost: "part lost",
  part_changed: "part changed",
  part_unusable: "part not usable",
};

/** Named one by one, up to this: more are for programs. */
const MAX_NAMED = 10;

function words(reason: string): string {
  return WORDS[reason] ?? reason;
}

/** How many files were begun anew, and why: "3 files begun anew: 2 source changed, 1 part lost". */
export function redoneSummary(redoneFiles: bigint, redone: readonly RedoneFile[]): string {
  const counted = new Map<string, number>();
  for (const { reason } of redone) counted.set(reason, (counted.get(reason) ?? 0) + 1);
  const reasons = Array.from(counted, ([reason, count]) =>
    counted.size === 1 && BigInt(count) === redoneFiles
      ? words(reason)
      : `${formatCount(count)} ${words(reason)}`,
  );
  const why = reasons.length > 0 ? `: ${reasons.join(", ")}` : "";
  return `${plural(Number(redoneFiles), "file")} begun anew${why}`;
}

/** A line for each of the first, and how many there are beside them. */
export function redoneLines(redoneFiles: bigint, redone: readonly RedoneFile[]): string[] {
  const named = redone.slice(0, MAX_NAMED);
  const lines = named.map(({ path, reason }) => `${displayPath(pathText(path))} (${words(reason)})`);
  const more = Number(redoneFiles) - named.length;
  return more > 0 ? [...lines, `and ${plural(more, "file")} more`] : lines;
}
