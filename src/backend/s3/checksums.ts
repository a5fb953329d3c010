/** What the server says it has, against what was sent. That an answer has a checksum shows nothing by itself. */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { PbError } from "../../model/error.ts";
import type { Context } from "./context.ts";
import type { Place } from "./place.ts";

/** As S3 writes it: 4 bytes, big-endian, base64. */
export function crc32Of(bytes: Uint8Array): string {
  return encode(crc32(bytes));
}

function encode(sum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(sum);
  return bytes.toString("base64");
}

/**
 * Of a multipart object with a composite checksum: that of its parts' checksums, with their number (S3 user guide, "Checking object integrity").
 *
 * @param parts base64
 */
export function compositeOf(parts: readonly string[]): string {
  const sums = Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
  return `${crc32Of(sums)}-${parts.length}`;
}

/** An ETag is the MD5 of what was put, unless the server encrypts with a key of its own (or takes something else, as it may). */
export function isMd5Of(bytes: Uint8Array, etag: string | undefined): boolean {
  const hex = /^"?([0-9a-f]{32})"?$/i.exec(etag ?? "")?.[1];
  return hex !== undefined && createHash("md5").update(bytes).digest("hex") === hex.toLowerCase();
}

export interface Compared {
  readonly sent: string;
  readonly has: string;
  /** It has the object's name by now: sending it again helps only from the beginning. */
  readonly final?: boolean;
}

/** @throws PbError `verification_failed`, which may pass unless `final`: bits change on the way, too */
export function mustEqual({ name }: Context, { path }: Place, { sent, has, final = false }: Compared): void {
  if (sent === has) return;
  throw new PbError("verification_failed", "the server has something else than was sent (CRC-32)", {
    path,
    peer: name,
    retryable: !final,
  });
}
