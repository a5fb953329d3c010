import type { Entry } from "../model/entry.ts";
import type { Overwrite } from "../model/transfer.ts";

export interface OverwriteDecision {
  readonly write: boolean;
  /** A few words for people: "new", "size differs", "same", ... */
  readonly reason: string;
}

/** Granularity of the mtimes of both sides, nanoseconds; the coarser one counts. */
export interface Resolutions {
  readonly sourceNs: number;
  readonly destinationNs: number;
  /** The destination says when a file was put there, not the time that it was given. Default: false. */
  readonly putTimes?: boolean;
}

type Compared = Pick<Entry, "kind" | "size" | "mtimeNs" | "linkTarget">;

/**
 * What `overwrite` says of an existing target; the native receiver decides by the same rules. Links are compared by what
 * they point to, folders are never written over. An existing thing of another kind differs. Where a destination keeps no times, a file
 * of the same size that was put there after the source last changed is the same.
 */
export function decideOverwrite(
  policy: Overwrite,
  pair: {
    readonly source: Compared;
    readonly existing: Compared | undefined;
    readonly resolutions: Resolutions;
  },
): OverwriteDecision {
  const { source, existing, resolutions } = pair;
  if (existing === undefined) return { write: true, reason: "new" };
  if (source.kind === "directory" && existing.kind === "directory") return { write: false, reason: "exists" };
  if (policy === "never") return { write: false, reason: "exists" };
  if (source.kind !== existing.kind) return { write: true, reason: `is a ${existing.kind} there` };
  if (source.kind === "symlink" && policy !== "always") return compareLinks(source, existing);
  const { putTimes = false } = resolutions;
  return compareFiles(policy, { source, existing, coarserNs: coarser(resolutions), putTimes });
}

function coarser({ sourceNs, destinationNs }: Resolutions): bigint {
  return BigInt(Math.max(1, sourceNs, destinationNs));
}

function compareLinks(source: Compared, existing: Compared): OverwriteDecision {
  const same = source.linkTarget === existing.linkTarget;
  return { write: !same, reason: same ? "same" : "points elsewhere" };
}

interface FilePair {
  readonly source: Compared;
  readonly existing: Compared;
  readonly coarserNs: bigint;
  readonly putTimes: boolean;
}

function compareFiles(
  policy: Overwrite,
  { source, existing, coarserNs, putTimes }: FilePair,
): OverwriteDecision {
  if (policy === "always") return { write: true, reason: "overwrite" };
  const newer = source.mtimeNs - existing.mtimeNs;
  if (policy === "if-newer") {
    return newer >= coarserNs ? { write: true, reason: "newer" } : { write: false, reason: "not newer" };
  }
  if (source.size !== existing.size) return { write: true, reason: "size differs" };
  // Times there are cut to their unit: what changed in the very second of its upload counts as changed. 0 is a time that nobody knows.
  if (putTimes) {
    const isOlder = source.mtimeNs !== 0n && newer <= 0n;
    return isOlder ? { write: false, reason: "same" } : { write: true, reason: "changed since" };
  }
  const sameTime = newer < coarserNs && -newer < coarserNs;
  return sameTime ? { write: false, reason: "same" } : { write: true, reason: "mtime differs" };
}
