import { create } from "@bufbuild/protobuf";
import { RedoneFileSchema, type RedoneFile as WireRedone } from "../gen/packetboat/v1/transfer_pb.ts";
import { pathBytes, pathText } from "../model/path.ts";
import type { RedoneFile } from "../native/types.ts";

export function redoneToWire({ path, reason }: RedoneFile): WireRedone {
  return create(RedoneFileSchema, { path: pathBytes(path), reason });
}

export function redoneFromWire({ path, reason }: WireRedone): RedoneFile {
  return { path: pathText(path), reason };
}
