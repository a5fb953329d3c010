import type { Entry as WireEntry } from "../gen/packetboat/v1/types_pb.ts";
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { entryFromWire } from "./entry.ts";

/**
 * An entry of a peer's listing, held to the rules of one, because callers join its path to a folder of their own (T1).
 *
 * @throws PbError `path_escapes` for absolute paths, empty, "." and ".." components; `invalid_path` for NUL bytes;
 *   `protocol_violation` for a size beyond 2^53 - 1
 */
export function listedFromWire(wire: WireEntry, peer: string): Entry {
  const entry = entryFromWire(wire);
  const { path } = entry;
  if (!Number.isSafeInteger(entry.size)) {
    throw new PbError("protocol_violation", "the peer listed an impossible file size", { path, peer });
  }
  if (path.includes("\0")) {
    throw new PbError("invalid_path", "the peer listed a name with a NUL byte", { path, peer });
  }
  if (path !== "" && path.split("/").some((name) => name === "" || name === "." || name === "..")) {
    throw new PbError("path_escapes", "the peer listed a name that leads out of its folder", { path, peer });
  }
  return entry;
}
