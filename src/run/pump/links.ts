import type { ChunkAccess } from "../../backend/backend.ts";
import type { Entry } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import type { Overwrite } from "../../model/transfer.ts";
import { decideOverwrite } from "../../plan/overwrite.ts";

export interface Link {
  /** `PathText` at the endpoint. */
  readonly path: string;
  readonly target: string;
  readonly mtimeNs: bigint;
  readonly signal: AbortSignal;
}

export interface LinkPlace {
  readonly chunks: Pick<ChunkAccess, "link">;
  readonly overwrite: Overwrite;
  /** What is there. */
  readonly find: () => Promise<Entry | undefined>;
}

/** Links are compared by what they point to: their times, which few endpoints keep, say nothing. */
const RESOLUTIONS = { sourceNs: 1, destinationNs: 1 };

/** @throws PbError `is_a_directory`, and what the endpoint says */
export async function placeLink(
  { path, target, mtimeNs, signal }: Link,
  { chunks, overwrite, find }: LinkPlace,
): Promise<"placed" | "same" | "left out"> {
  if (chunks.link === undefined) return "left out";
  const existing = await find();
  if (existing?.kind === "directory")
    throw new PbError("is_a_directory", "a folder is in the way of a link of that name", { path });
  const source = { kind: "symlink", size: 0, mtimeNs, linkTarget: target } as const;
  if (!decideOverwrite(overwrite, { source, existing, resolutions: RESOLUTIONS }).write) return "same";
  try {
    await chunks.link(path, { target, mtimeNs, signal });
    return "placed";
  } catch (cause) {
    // Only the server knew.
    if (PbError.from(cause).code === "unsupported") return "left out";
    throw cause;
  }
}
