import type { CheckpointBatch, PartRecord } from "../model/checkpoint.ts";
import { pathBytes, pathText } from "../model/path.ts";
import type { Addon } from "./addon.ts";
import type { ReceiveCheckpoint } from "./types.ts";

/** Any time below zero. */
const NOTHING_PLACED = -1;

/** Records as the addon takes them. */
export function nativeCheckpoint({
  parts,
  done,
  hashes,
  flushBytes,
  flushMs,
  nameTag,
  placedSinceMs = NOTHING_PLACED,
}: ReceiveCheckpoint): Addon.NativeCheckpoint {
  return { parts: parts.map(nativePart), done, hashes, flushBytes, flushMs, nameTag, placedSinceMs };
}

export function nativePart(part: PartRecord): Addon.NativePart {
  return { ...part, target: pathBytes(part.target) };
}

/** A batch as the addon gives it. */
export function checkpointBatch({ parts, ...rest }: Addon.NativeBatch): CheckpointBatch {
  return { ...rest, parts: parts.map((part) => ({ ...part, target: pathText(part.target) })) };
}
