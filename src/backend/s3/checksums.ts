/** What the server says it has, against what was sent. That an answer has a checksum shows nothing by itself. */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Crc32c, Crc64Nvme } from "@aws-sdk/checksums/crc";
import { PbError } from "../../model/error.ts";
import type { Confirmed } from "../chunks.ts";
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

const digest = (algorithm: string) => (bytes: Uint8Array) =>
  createHash(algorithm).update(bytes).digest("base64");

async function summed(sum: Crc32c | Crc64Nvme, bytes: Uint8Array): Promise<string> {
  sum.update(bytes);
  return Buffer.from(await sum.digest()).toString("base64");
}

/** In the SDK's order, strongest first. */
const OF_CONTENT: readonly (readonly [
  algorithm: string,
  base64: (bytes: Uint8Array) => string | Promise<string>,
])[] = [
  ["sha256", digest("sha256")],
  ["sha1", digest("sha1")],
  ["crc32", crc32Of],
  ["crc32c", (bytes) => summed(new Crc32c(), bytes)],
  ["crc64nvme", (bytes) => summed(new Crc64Nvme(), bytes)],
];

/**
 * What came of a whole object, against the checksum that it was uploaded with, where the reply tells one. A composite one is over the checksums of
 * parts: nothing that came whole has it.
 *
 * @param header of the reply
 * @throws PbError `verification_failed`
 */
export async function confirmContent(
  { name, header }: { readonly name: string; readonly header: (name: string) => string | undefined },
  { path }: Pick<Place, "path">,
  bytes: () => Uint8Array,
): Promise<Confirmed> {
  const isComposite = header("x-amz-checksum-type") === "COMPOSITE";
  for (const [algorithm, base64] of isComposite ? [] : OF_CONTENT) {
    const said = header(`x-amz-checksum-${algorithm}`);
    if (said === undefined || /-\d+$/.test(said)) continue;
    if ((await base64(bytes())) === said) return { how: "hash", algorithm };
    const words = `what came does not have the ${algorithm} that the server says`;
    throw new PbError("verification_failed", words, { path, peer: name, retryable: true });
  }
  return { how: "size" };
}
