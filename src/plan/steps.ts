import type { Entry } from "../model/entry.ts";
import type { Overwrite } from "../model/transfer.ts";
import { decideOverwrite, type Resolutions } from "./overwrite.ts";

/** One thing that a transfer would do; see PlannedAction in transfer.proto. */
export interface Step {
  readonly action: "copy" | "mkdir" | "link" | "skip" | "remove-source";
  /** Relative to the destination; of "remove-source" relative to the source. */
  readonly path: string;
  readonly size: number;
  readonly reason: string;
}

/** The steps of one source entry whose target is, or is not, there already. */
export function stepsFor(options: {
  readonly entry: Entry;
  readonly target: string;
  readonly existing: Entry | undefined;
  readonly overwrite: Overwrite;
  readonly resolutions: Resolutions;
  /** Can the destination have links, or why not? Default: true. */
  readonly links?: true | string;
  readonly move: boolean;
}): Step[] {
  const { entry, target, existing, overwrite, resolutions, links = true } = options;
  if (entry.kind === "other") {
    return [{ action: "skip", path: target, size: 0, reason: "neither file, folder nor link" }];
  }
  if (entry.kind === "symlink" && links !== true)
    return [{ action: "skip", path: target, size: 0, reason: links }];
  const decision = decideOverwrite(overwrite, { source: entry, existing, resolutions });
  const step: Step = {
    action: decision.write ? ACTIONS[entry.kind] : "skip",
    path: target,
    size: entry.size,
    reason: decision.reason,
  };
  // What is only held to be the same, by size and time, is no verified copy: its source stays.
  const arrives = decision.write || entry.kind === "directory";
  return options.move && arrives
    ? [step, { action: "remove-source", path: entry.path, size: entry.size, reason: "move" }]
    : [step];
}

const ACTIONS = { file: "copy", directory: "mkdir", symlink: "link" } as const;
