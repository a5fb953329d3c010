import { crc32 } from "node:zlib";
import { decodePart, keyText, partBytes, type StoredPart, writePart } from "./batch.ts";
import { ByteWriter, Malformed } from "./bytes.ts";
import { type Expected, encodeHeader, HEADER_BYTES, parseHeader, seedOf } from "./header.ts";
import type { FileEntry } from "./state.ts";
import type { FileWindow } from "./window.ts";

/**
 * Header (fields: sequence, length), the part as in a batch, CRC-32 seeded by the header. Written in one go, without a copy in between: of
 * a million chunks it is 32 MiB, and nothing else runs meanwhile.
 */
export function encodeSnapshot(entry: FileEntry, digest: Uint8Array): Buffer {
  const part = { ...entry.part, extra: Buffer.concat(entry.extra) };
  const chunks = entry.chunks.encoded();
  const length = partBytes(part, chunks);
  const header = encodeHeader({ kind: "snapshot", digest, fields: [entry.sequence, length, 0] });
  const out = new ByteWriter(HEADER_BYTES + length + 4);
  out.raw(header);
  writePart(out, part, chunks);
  const payload = out.bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
  out.u32(crc32(payload, seedOf(header)));
  return out.bytes;
}

export interface Snapshot {
  readonly part: StoredPart;
  readonly sequence: number;
}

/** undefined: damaged. `key`: by its name. @throws PbError `unsupported_version`, `wrong_job` */
export async function readSnapshot(
  window: FileWindow,
  expected: Omit<Expected, "kind"> & { readonly key: string },
): Promise<Snapshot | undefined> {
  const head = await window.at(0, Math.min(HEADER_BYTES, window.size));
  const header = head && parseHeader(head, { ...expected, kind: "snapshot" });
  if (header === undefined) return undefined;
  const [sequence, length] = header.fields;
  if (window.size !== HEADER_BYTES + length + 4) return undefined;
  const rest = await window.at(HEADER_BYTES, length + 4);
  if (rest === undefined) return undefined;
  const payload = rest.subarray(0, length);
  if (crc32(payload, header.seed) !== rest.readUInt32BE(length)) return undefined;
  try {
    const part = decodePart(payload);
    return keyText(part.key) === expected.key ? { part, sequence } : undefined;
  } catch (cause) {
    if (cause instanceof Malformed) return undefined;
    throw cause;
  }
}
