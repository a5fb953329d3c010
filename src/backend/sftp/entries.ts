import type { Entry, EntryKind } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import type { Attributes } from "./packets.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "./resolve.ts";

const SECOND_NS = 1_000_000_000n;

/** @param path of the entry, as it is to be shown */
export function entryOf(path: string, attributes: Attributes, linkTarget?: string): Entry {
  const kind = kindOf(attributes);
  return {
    path,
    kind,
    size: kind === "file" ? (attributes.size ?? 0) : 0,
    mtimeNs: BigInt(attributes.mtime ?? 0) * SECOND_NS,
    mode: attributes.mode === undefined ? 0o644 : attributes.mode & 0o7777,
    uid: attributes.uid ?? 0,
    gid: attributes.gid ?? 0,
    ...(attributes.mode === undefined && { modeUnknown: true }),
    ...(attributes.uid === undefined && { ownerUnknown: true }),
    ...(linkTarget === undefined ? {} : { linkTarget }),
  };
}

/** A server that tells no kind has files only, as far as can be known. */
export function kindOf({ mode }: Attributes): EntryKind {
  const kind = (mode ?? 0) & S_IFMT;
  if (kind === S_IFDIR) return "directory";
  if (kind === S_IFLNK) return "symlink";
  return kind === S_IFREG || kind === 0 ? "file" : "other";
}

/** Version 3 has 32 bits of seconds. undefined: it can't be said there. */
export function secondsOf(mtimeNs: bigint): number | undefined {
  const seconds = mtimeNs / SECOND_NS - (mtimeNs < 0n && mtimeNs % SECOND_NS !== 0n ? 1n : 0n);
  return seconds >= 0n && seconds <= 0xffff_ffffn ? Number(seconds) : undefined;
}

/** @throws PbError `invalid_argument` */
export function secondsOrRefuse(mtimeNs: bigint, path: string): number {
  const seconds = secondsOf(mtimeNs);
  if (seconds !== undefined) return seconds;
  throw new PbError("invalid_argument", "SFTP keeps times between 1970 and 2106 only", { path });
}
