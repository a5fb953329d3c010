import { create } from "@bufbuild/protobuf";
import { EntryKind, EntrySchema, type Entry as WireEntry } from "../gen/packetboat/v1/types_pb.ts";
import type { Entry } from "../model/entry.ts";
import { pathBytes, pathText } from "../model/path.ts";

const KIND_TO_WIRE = {
  file: EntryKind.FILE,
  directory: EntryKind.DIRECTORY,
  symlink: EntryKind.SYMLINK,
  other: EntryKind.OTHER,
} as const satisfies Record<Entry["kind"], EntryKind>;

export function entryToWire(entry: Entry): WireEntry {
  return create(EntrySchema, {
    path: pathBytes(entry.path),
    kind: KIND_TO_WIRE[entry.kind],
    size: BigInt(entry.size),
    mtimeNs: entry.mtimeNs,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    linkTarget: pathBytes(entry.linkTarget ?? ""),
    inode: entry.inode ?? 0n,
    device: entry.device ?? 0n,
    modeUnknown: entry.modeUnknown ?? false,
    ownerUnknown: entry.ownerUnknown ?? false,
  });
}

/** A kind that this version does not know is "other": listed, never transferred. */
export function entryFromWire(entry: WireEntry): Entry {
  const identified = entry.inode !== 0n;
  return {
    path: pathText(entry.path),
    kind: kindFromWire(entry.kind),
    size: Number(entry.size),
    mtimeNs: entry.mtimeNs,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    ...(entry.modeUnknown && { modeUnknown: true }),
    ...(entry.ownerUnknown && { ownerUnknown: true }),
    ...(entry.linkTarget.length > 0 ? { linkTarget: pathText(entry.linkTarget) } : {}),
    ...(identified ? { inode: entry.inode, device: entry.device } : {}),
  };
}

function kindFromWire(kind: EntryKind): Entry["kind"] {
  if (kind === EntryKind.FILE) return "file";
  if (kind === EntryKind.DIRECTORY) return "directory";
  return kind === EntryKind.SYMLINK ? "symlink" : "other";
}
