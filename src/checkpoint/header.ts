import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { CheckpointBinding } from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";

/** Of everything behind the header. The header itself is the same in every version, so that each can tell which it is. */
export const FORMAT_VERSION = 2;

const MAGIC = 0x5042434b; // "PBCK"
const CRC_AT = 48;
export const HEADER_BYTES = CRC_AT + 4;

export type FileKind = "binding" | "journal" | "snapshot" | "done";
const KINDS: readonly FileKind[] = ["binding", "journal", "snapshot", "done"];

/** What a file says of itself in its first 52 bytes: magic u32, version u16, kind u16, digest 16, three u64, CRC-32 of all that. */
export interface FileHeader {
  readonly kind: FileKind;
  /** Of the binding, so that no file of another job is taken for one of this. */
  readonly digest: Uint8Array;
  /** Their meaning is the kind's. */
  readonly fields: readonly [number, number, number];
}

export interface ReadHeader extends FileHeader {
  /** Seed of the checksums behind it: a record of another file does not fit here. */
  readonly seed: number;
}

export function bindingDigest(binding: CheckpointBinding): Uint8Array {
  const text = `pb1 checkpoint\0${binding.job}\0${binding.destination}`;
  return createHash("sha256").update(text).digest().subarray(0, 16);
}

export function encodeHeader({ kind, digest, fields }: FileHeader): Buffer {
  const out = Buffer.alloc(HEADER_BYTES);
  out.writeUInt32BE(MAGIC, 0);
  out.writeUInt16BE(FORMAT_VERSION, 4);
  out.writeUInt16BE(KINDS.indexOf(kind), 6);
  out.set(digest, 8);
  fields.forEach((field, index) => {
    out.writeBigUInt64BE(BigInt(field), 24 + 8 * index);
  });
  out.writeUInt32BE(crc32(out.subarray(0, CRC_AT)), CRC_AT);
  return out;
}

/** The seed of a header that `encodeHeader` made. */
export function seedOf(header: Buffer): number {
  return header.readUInt32BE(CRC_AT);
}

export interface Expected {
  readonly kind: FileKind;
  readonly digest: Uint8Array;
  readonly path: string;
}

/**
 * undefined: torn or damaged. @throws PbError `unsupported_version` when another version wrote it whole, `wrong_job` when it is of
 * another job or destination
 */
export function parseHeader(bytes: Uint8Array, expected: Expected): ReadHeader | undefined {
  const header = readHeader(bytes, expected.path);
  if (header === undefined || header.kind !== expected.kind) return undefined;
  if (Buffer.compare(header.digest, expected.digest) === 0) return header;
  throw new PbError("wrong_job", `${expected.path} belongs to the checkpoint of another transfer`, {
    path: expected.path,
    hint: "somebody has put it there: remove it, or start afresh with --resume never",
  });
}

/** Whoever's it is. */
export function readHeader(bytes: Uint8Array, path: string): ReadHeader | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (view.readUInt32BE(0) !== MAGIC) return undefined;
  if (crc32(view.subarray(0, CRC_AT)) !== view.readUInt32BE(CRC_AT)) return undefined;
  const version = view.readUInt16BE(4);
  if (version !== FORMAT_VERSION) throw unsupported(version, path);
  const kind = KINDS[view.readUInt16BE(6)];
  if (kind === undefined) return undefined;
  const field = (index: number) => Number(view.readBigUInt64BE(24 + 8 * index));
  return {
    kind,
    digest: Uint8Array.from(view.subarray(8, 24)),
    fields: [field(0), field(1), field(2)],
    seed: view.readUInt32BE(CRC_AT),
  };
}

function unsupported(version: number, path: string): PbError {
  return new PbError(
    "unsupported_version",
    `${path} has checkpoint format ${version}, this pb knows ${FORMAT_VERSION}`,
    {
      path,
      hint: "resume with the version of pb that began the transfer, or start afresh with --resume never",
    },
  );
}
