import { GetObjectCommand, type GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { PbError } from "../../model/error.ts";
import type { ChunkSource, Confirmed, KnownVersion, OpenChunksOptions, WholeRead } from "../chunks.ts";
import type { ReplyHead } from "../exchange.ts";
import { type FillableMemory, rangeBytesOf } from "../fetching.ts";
import { refuseAborted } from "../signals.ts";
import { confirmContent } from "./checksums.ts";
import { type About, type Context, request } from "./context.ts";
import { s3Error } from "./errors.ts";
import { headObject, notFound } from "./look.ts";
import { nameOf, type Place } from "./place.ts";
import { mtimeIn, mtimeOf } from "./times.ts";

/** Of one request: what it costs, a round trip and often the start of a connection, is spread over so much. */
const RANGE_BYTES = 4 * 1024 * 1024;

/** Without a request where the listing has told the ETag: every read is bound to it by If-Match. */
export async function openSource(
  context: Context,
  place: Place,
  { known, signal }: OpenChunksOptions,
): Promise<ChunkSource> {
  refuseAborted(signal);
  const now = known.version === undefined ? await look(context, place, { known, signal }) : known;
  return {
    now,
    parallel: true,
    gatherBytes: context.direct.fetchRange ? rangeBytesOf(now.size) : RANGE_BYTES,
    read: (offset, into, about) => readRange(context, { place, now, offset, into, signal: about }),
    ...(context.direct.fetchRange && {
      readInto: (memory, about) => readInto(context, { place, now, memory, signal: about }),
    }),
    // What has been read had this ETag, request by request.
    finish: async () => ({ how: "size" }),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function look(
  context: Context,
  place: Place,
  { known, signal }: OpenChunksOptions,
): Promise<KnownVersion> {
  const recent = context.heads.take(nameOf(place));
  const isKnown = recent?.size === known.size && recent.mtimeNs === known.mtimeNs;
  const head = isKnown ? recent : await headObject(context, place, signal);
  if (!head) throw notFound(context, place);
  if (head.size !== known.size) throw changed(context, place);
  return { size: head.size, mtimeNs: head.mtimeNs, version: head.etag };
}

interface Range {
  readonly place: Place;
  readonly now: KnownVersion;
  readonly offset: number;
  readonly into: Uint8Array;
  readonly signal: AbortSignal;
}

/** As it is asked for, whatever it goes into. */
type Asked = Omit<Range, "into"> & { readonly into: { readonly length: number } };

/** False: this bucket, or its server, is not to be asked in this way; or it gives the whole, and `readRange` tells what is wrong. */
async function readInto(
  context: Context,
  { place, now, memory, signal }: Omit<Range, "offset" | "into"> & { readonly memory: FillableMemory },
): Promise<boolean> {
  const range: Asked = { place, now, offset: memory.offset, into: { length: memory.length }, signal };
  const headers = { range: rangeOf(range), ...ifMatch(range) };
  return request(context, { path: place.path, signal }, async ({ abortSignal }) => {
    const reply = await context.direct.fetchRange?.(place, {
      headers,
      memory,
      check: ({ header }) =>
        demandRange(context, range, { etag: header("etag"), answered: header("content-range") }),
      signal: abortSignal,
    });
    return reply?.status === 206;
  });
}

async function readRange(context: Context, range: Range): Promise<void> {
  const { place, into, signal } = range;
  if (into.length === 0) return;
  await request(context, { path: place.path, signal }, async ({ abortSignal }) => {
    const reply = await context.direct.send(place, {
      method: "GET",
      headers: { range: rangeOf(range), ...ifMatch(range) },
      place({ header }) {
        demandRange(context, range, { etag: header("etag"), answered: header("content-range") });
        return into;
      },
      signal: abortSignal,
    });
    if (reply === undefined) await rangeBySdk(context, range, abortSignal);
  });
}

const rangeOf = ({ offset, into }: Asked) => `bytes=${offset}-${offset + into.length - 1}`;

const ifMatch = ({ now }: Asked) => (now.version === undefined ? {} : { "if-match": now.version });

/** @throws PbError `source_changed`; `protocol_violation` for a server that gives no ranges */
function demandRange(
  context: Context,
  { place, now, offset, into }: Asked,
  { etag, answered }: { readonly etag: string | undefined; readonly answered: string | undefined },
): void {
  const wanted = `bytes ${offset}-${offset + into.length - 1}/${now.size}`;
  const same = sameVersion(now.version, etag);
  if (same && answered === wanted) return;
  // A range that is not the one asked for: the size has changed.
  if (!same || answered !== undefined) throw changed(context, place);
  throw new PbError("protocol_violation", "the server answered a range with the whole object", {
    path: place.path,
    peer: context.name,
  });
}

async function rangeBySdk(context: Context, range: Range, abortSignal: AbortSignal): Promise<void> {
  const { place, now, into, signal } = range;
  const answer = await context.client.send(
    new GetObjectCommand({
      Bucket: place.bucket,
      Key: place.key,
      Range: rangeOf(range),
      ...(now.version === undefined ? {} : { IfMatch: now.version }),
    }),
    { abortSignal },
  );
  try {
    demandRange(context, range, { etag: answer.ETag, answered: answer.ContentRange });
  } catch (error) {
    await discardBody(answer);
    throw error;
  }
  await fill(context, { answer, into, about: { path: place.path, signal } });
}

interface Whole extends Omit<Range, "now" | "offset"> {
  readonly known: KnownVersion;
}

const wholeHeaders = ({ version }: KnownVersion) => ({
  "x-amz-checksum-mode": "ENABLED",
  ...(version === undefined ? {} : { "if-match": version }),
});

/** As `readWholeObject`, past JavaScript. Undefined: not in this way. */
export async function readWholeInto(
  context: Context,
  { place, memory, known, signal }: Omit<Whole, "into"> & { readonly memory: FillableMemory },
): Promise<WholeRead | undefined> {
  refuseAborted(signal);
  refuseAborted(context.closing);
  const asked = context.direct.fetchSmall?.(place, { headers: wholeHeaders(known), memory });
  const reply = await asked?.catch((error: unknown) => {
    throw s3Error(error, { path: place.path, peer: context.name });
  });
  if (reply?.status !== 200) return undefined;
  if (!sameVersion(known.version, reply.header("etag"))) throw changed(context, place);
  return wholeOf(context, { place, reply, bytes: () => memory.bytes() });
}

interface Came {
  readonly place: Place;
  readonly reply: ReplyHead;
  readonly bytes: () => Uint8Array;
}

async function wholeOf({ name }: Context, { place, reply: { header }, bytes }: Came): Promise<WholeRead> {
  const etag = header("etag");
  return {
    size: Number(header("content-length")),
    mtimeNs: mtimeIn(header),
    ...(etag === undefined ? {} : { version: etag }),
    confirmed: await confirmContent({ name, header }, place, bytes),
  };
}

/** One GET without a range, compared with the checksum that the object was uploaded with, where it has one. */
export async function readWholeObject(context: Context, whole: Whole): Promise<WholeRead> {
  const { place, into, known, signal } = whole;
  return request(context, { path: place.path, signal }, async ({ abortSignal }) => {
    const reply = await context.direct.send(place, {
      method: "GET",
      headers: wholeHeaders(known),
      place({ header }) {
        const isSame =
          header("content-length") === `${into.length}` && sameVersion(known.version, header("etag"));
        if (!isSame) throw changed(context, place);
        return into;
      },
      signal: abortSignal,
    });
    if (reply === undefined) return wholeBySdk(context, whole, abortSignal);
    return wholeOf(context, { place, reply, bytes: () => into });
  });
}

/** The SDK compares with the checksum. */
async function wholeBySdk(
  context: Context,
  { place, into, known, signal }: Whole,
  abortSignal: AbortSignal,
): Promise<WholeRead> {
  const answer = await context.client.send(
    new GetObjectCommand({
      Bucket: place.bucket,
      Key: place.key,
      ChecksumMode: "ENABLED",
      ...(known.version === undefined ? {} : { IfMatch: known.version }),
    }),
    { abortSignal },
  );
  if (answer.ContentLength !== into.length || !sameVersion(known.version, answer.ETag)) {
    await discardBody(answer);
    throw changed(context, place);
  }
  await fill(context, { answer, into, about: { path: place.path, signal } });
  return {
    size: into.length,
    mtimeNs: mtimeOf(answer.Metadata, answer.LastModified),
    ...(answer.ETag === undefined ? {} : { version: answer.ETag }),
    confirmed: confirmedBy(answer),
  };
}

/** A server may pass over If-Match; some list ETags without their quotes. */
function sameVersion(wanted: string | undefined, got: string | undefined): boolean {
  return wanted === undefined || got === undefined || bare(wanted) === bare(got);
}

const bare = (etag: string) => etag.replaceAll('"', "");

function confirmedBy(answer: GetObjectCommandOutput): Confirmed {
  // A composite one is over the checksums of parts, which the SDK cannot compare a stream with.
  if (answer.ChecksumType === "COMPOSITE") return { how: "size" };
  if (answer.ChecksumCRC32 !== undefined) return { how: "hash", algorithm: "crc32" };
  if (answer.ChecksumSHA256 !== undefined) return { how: "hash", algorithm: "sha256" };
  return { how: "size" };
}

interface Filling {
  readonly answer: GetObjectCommandOutput;
  readonly into: Uint8Array;
  readonly about: About;
}

async function fill(context: Context, { answer, into, about }: Filling): Promise<void> {
  let at = 0;
  for await (const piece of answer.Body as AsyncIterable<Uint8Array>) {
    if (at + piece.length > into.length) throw lied(context, about.path, "more");
    into.set(piece, at);
    at += piece.length;
  }
  if (at < into.length) throw lied(context, about.path, "less");
}

async function discardBody(answer: GetObjectCommandOutput): Promise<void> {
  (answer.Body as { destroy?(): void } | undefined)?.destroy?.();
}

function lied({ name }: Context, path: string, what: "more" | "less"): PbError {
  const code = what === "less" ? "connection_lost" : "protocol_violation";
  return new PbError(code, `the server sent ${what} than it said`, { path, peer: name });
}

function changed({ name }: Context, { path }: Place): PbError {
  return new PbError("source_changed", "the object is another by now", { path, peer: name });
}
