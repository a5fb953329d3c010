import { create } from "@bufbuild/protobuf";
import { type Entry as EntryMessage, EntrySchema, EntryKind as Kind } from "../gen/packetboat/v1/types_pb.ts";
import type { Entry, EntryKind } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { pathBytes, pathText } from "../model/path.ts";

const TO_WIRE: Record<EntryKind, Kind> = {
  file: Kind.FILE,
  directory: Kind.DIRECTORY,
  symlink: Kind.SYMLINK,
  other: Kind.OTHER,
};

const FROM_WIRE: Partial<Record<Kind, EntryKind>> = {
  [Kind.FILE]: "file",
  [Kind.DIRECTORY]: "directory",
  [Kind.SYMLINK]: "symlink",
};

export function entryMessage(entry: Entry): EntryMessage {
  return create(EntrySchema, {
    path: pathBytes(entry.path),
    kind: TO_WIRE[entry.kind],
    size: BigInt(entry.size),
    mtimeNs: entry.mtimeNs,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    ...(entry.linkTarget !== undefined && { linkTarget: pathBytes(entry.linkTarget) }),
    ...(entry.inode !== undefined && { inode: entry.inode }),
    ...(entry.device !== undefined && { device: entry.device }),
  });
}

/**
 * An entry that a peer sent. Its path is held to the rules of a listing, because callers join it to a folder of their own.
 *
 * @throws PbError `path_escapes`, `invalid_path`, `protocol_violation` (a size beyond 2^53 - 1)
 */
export function entryOfMessage(message: EntryMessage): Entry {
  const size = Number(message.size);
  const path = listedPath(pathText(message.path));
  if (!Number.isSafeInteger(size)) {
    throw new PbError("protocol_violation", "the peer listed an impossible file size", { path });
  }
  const kind = FROM_WIRE[message.kind] ?? "other";
  return {
    path,
    kind,
    size,
    mtimeNs: message.mtimeNs,
    mode: message.mode & 0o7777,
    uid: message.uid,
    gid: message.gid,
    ...(kind === "symlink" && { linkTarget: pathText(message.linkTarget) }),
    ...((message.inode !== 0n || message.device !== 0n) && {
      inode: message.inode,
      device: message.device,
    }),
  };
}

/** @throws PbError unless the path is relative, without empty, "." or ".." components and NUL bytes */
function listedPath(path: string): string {
  if (path === "") return path;
  if (path.includes("\0"))
    throw new PbError("invalid_path", "the peer listed a name with a NUL byte", { path });
  for (const name of path.split("/")) {
    if (name === "" || name === "." || name === "..") {
      throw new PbError("path_escapes", "the peer listed a name that leads out of its folder", { path });
    }
  }
  return path;
}
