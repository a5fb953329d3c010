/** SFTP version 3 (draft-ietf-secsh-filexfer-02) as bytes. Names are bytes here: libraries that take them for UTF-8 lose some. */

import { PbError } from "../../model/error.ts";

export const FXP = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
  extendedReply: 201,
} as const;

export const STATUS = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

/** Of `FXP.open`. */
export const OPEN = { read: 1, write: 2, create: 8, truncate: 16, exclusive: 32 } as const;

const ATTR = { size: 1, owner: 2, permissions: 4, times: 8, extended: 0x8000_0000 } as const;

/** What a server tells of a file; what it leaves out is undefined. */
export interface Attributes {
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** With the kind (S_IFMT). */
  readonly mode?: number;
  /** Seconds since 1970. */
  readonly mtime?: number;
}

export interface Named {
  readonly name: Uint8Array;
  readonly attributes: Attributes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** A `string` of the protocol: its length, then its bytes. */
export function text(bytes: Uint8Array): Buffer {
  return Buffer.concat([u32(bytes.length), bytes]);
}

export const NO_ATTRIBUTES = u32(0);

/** Attributes to set; `mtime` sets both times, version 3 has no other way. */
export function encodeAttributes(set: { readonly mode?: number; readonly mtime?: number }): Buffer {
  const flags = (set.mode === undefined ? 0 : ATTR.permissions) | (set.mtime === undefined ? 0 : ATTR.times);
  const parts = [u32(flags)];
  if (set.mode !== undefined) parts.push(u32(set.mode & 0o7777));
  if (set.mtime !== undefined) parts.push(u32(set.mtime), u32(set.mtime));
  return Buffer.concat(parts);
}

/** Reads the body of a reply. Every length is checked: what is short is `protocol_violation`. */
export interface Reader {
  u32(): number;
  /** @throws PbError `protocol_violation` beyond 2^53 too */
  u64(): number;
  text(): Uint8Array;
  attributes(): Attributes;
  readonly left: number;
}

export function readerOf(body: Buffer): Reader {
  let at = 0;
  const take = (length: number): number => {
    const from = at;
    if (length > body.length - at) throw short();
    at += length;
    return from;
  };
  const reader: Reader = {
    get left() {
      return body.length - at;
    },
    u32: () => body.readUInt32BE(take(4)),
    u64() {
      const value = Number(body.readBigUInt64BE(take(8)));
      if (!Number.isSafeInteger(value)) throw short();
      return value;
    },
    text() {
      const length = reader.u32();
      const from = take(length);
      return body.subarray(from, from + length);
    },
    attributes: () => readAttributes(reader),
  };
  return reader;
}

function readAttributes(reader: Reader): Attributes {
  const flags = reader.u32();
  const found: { -readonly [K in keyof Attributes]: Attributes[K] } = {};
  if (flags & ATTR.size) found.size = reader.u64();
  if (flags & ATTR.owner) {
    found.uid = reader.u32();
    found.gid = reader.u32();
  }
  if (flags & ATTR.permissions) found.mode = reader.u32();
  if (flags & ATTR.times) {
    reader.u32();
    found.mtime = reader.u32();
  }
  if (flags & ATTR.extended) {
    for (let pairs = reader.u32(); pairs > 0; pairs -= 1) {
      reader.text();
      reader.text();
    }
  }
  return found;
}

/** The names of a `FXP.name`; the "long name" is for people and left out. */
export function readNames(body: Buffer): Named[] {
  const reader = readerOf(body);
  const names: Named[] = [];
  for (let count = reader.u32(); count > 0; count -= 1) {
    const name = reader.text();
    reader.text();
    names.push({ name, attributes: reader.attributes() });
  }
  return names;
}

function short(): PbError {
  return new PbError("protocol_violation", "the SFTP server sent a reply that ends before it is whole");
}
