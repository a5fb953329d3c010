import { crc32 } from "node:zlib";
import { decodePart, encodePart, keyText, type StoredPart } from "./batch.ts";
import { Malformed } from "./bytes.ts";
import { type Expected, encodeHeader, HEADER_BYTES, parseHeader, seedOf } from "./header.ts";
import type { FileWindow } from "./window.ts";

/** Header (fields: sequence, length), the part as in a batch, CRC-32 seeded by the header. */
export function encodeSnapshot(part: StoredPart, sequence: number, digest: Uint8Array): Buffer {
  const payload = encodePart(part);
  const header = encodeHeader({ kind: "snapshot", digest, fields: [sequence, payload.length, 0] });
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(payload, seedOf(header)));
  return Buffer.concat([header, payload, crc]);
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
