/** Multipart uploads: parts in any order, several at once; nothing has the object's name before the last call. What was uploaded stays for a later process. */
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { PbError } from "../../model/error.ts";
import type { ByteRange, ChunkSink, Confirmed, CreateChunksOptions, WriteWholeOptions } from "../chunks.ts";
import type { SendableMemory } from "../fetching.ts";
import { beginUpload } from "./begin.ts";
import { compositeOf, crc32Of, isMd5Of, mustEqual } from "./checksums.ts";
import { type Context, request } from "./context.ts";
import { isNotFound } from "./errors.ts";
import { headObject } from "./look.ts";
import { watchPages } from "./pages.ts";
import type { Place } from "./place.ts";
import { METADATA, MTIME_KEY, mtimeMetadata } from "./times.ts";
import { abandon } from "./uploads.ts";

const MIB = 1024 * 1024;
/** The least is 5 MiB but for the last part, the most parts are 10,000 (S3 user guide, "Multipart upload limits"). */
const LEAST_PART_BYTES = 8 * MIB;
const MOST_PARTS = 10_000;

/** Of a stream, which may become larger than parts of the least size can hold: 156 GiB. Three of them are in memory at once. */
const STREAM_PART_BYTES = 16 * MIB;

/** Bytes of each part but the last, for a file of `size` bytes. */
export function partBytes(size: number): number {
  if (!Number.isFinite(size)) return STREAM_PART_BYTES;
  return Math.max(LEAST_PART_BYTES, Math.ceil(size / MOST_PARTS / MIB) * MIB);
}

/** What a resumed upload needs: the rest the server tells (ListParts). */
interface State {
  readonly uploadId: string;
  readonly partBytes: number;
}

interface Upload extends State {
  readonly place: Place;
  /** Infinity: of a stream, until its end. */
  size: number;
  /** By number, from 1. */
  readonly parts: Map<number, CompletedPart>;
  /** Where the last part ends that was sent. */
  reach: number;
}

export async function writeWholeObject(
  context: Context,
  place: Place,
  { bytes, meta, signal }: WriteWholeOptions & { readonly bytes: Uint8Array },
): Promise<Confirmed> {
  const sum = crc32Of(bytes);
  // A copy: whoever sends it may go on with it after an abort.
  const whole: Whole = { body: Buffer.from(bytes), sum, mtime: mtimeMetadata(meta.mtimeNs) };
  const answer = await request(context, { path: place.path, signal }, ({ abortSignal }) =>
    putWhole(context, place, { ...whole, signal: abortSignal }),
  );
  if (answer.sum !== undefined) {
    mustEqual(context, place, { sent: sum, has: answer.sum });
    return { how: "hash", algorithm: "crc32" };
  }
  if (isMd5Of(bytes, answer.etag)) return { how: "hash", algorithm: "md5" };
  return sizeConfirmed(context, { place, size: bytes.length }, signal);
}

interface Whole {
  readonly body: Buffer;
  /** CRC-32, base64. */
  readonly sum: string;
  readonly mtime: string;
}

interface Put {
  /** What the server says it has; CRC-32, base64. */
  readonly sum: string | undefined;
  readonly etag: string | undefined;
}

async function putWhole(
  context: Context,
  place: Place,
  { body, sum, mtime, signal }: Whole & { readonly signal: AbortSignal },
): Promise<Put> {
  const { storageClass } = context;
  const headers = {
    "content-type": "application/octet-stream",
    "x-amz-sdk-checksum-algorithm": "CRC32",
    "x-amz-checksum-crc32": sum,
    [`${METADATA}${MTIME_KEY}`]: mtime,
    ...(storageClass === undefined ? {} : { "x-amz-storage-class": storageClass }),
  };
  const reply = await context.direct.send(place, { method: "PUT", headers, body, signal });
  if (reply) return { sum: reply.header("x-amz-checksum-crc32"), etag: reply.header("etag") };
  const { ChecksumCRC32, ETag } = await context.client.send(
    new PutObjectCommand({
      Bucket: place.bucket,
      Key: place.key,
      Body: body,
      ChecksumCRC32: sum,
      Metadata: { [MTIME_KEY]: mtime },
      ...storage(context),
    }),
    { abortSignal: signal },
  );
  return { sum: ChecksumCRC32, etag: ETag };
}

/** @throws PbError `corrupt_checkpoint` when what `resume` names is not there any more */
export async function openSink(
  context: Context,
  place: Place,
  options: CreateChunksOptions,
): Promise<ChunkSink> {
  const upload = options.resume
    ? await reopen(context, place, { ...options, resume: options.resume })
    : await begin(context, place, options);
  let over = false;
  return {
    order: "any",
    blockBytes: upload.partBytes,
    leaves: encodeState(upload),
    ...(options.resume && { has: [...upload.parts.keys()].map((number) => rangeOf(upload, number)) }),
    write: (offset, parts, signal) => writePart(context, upload, { offset, parts, signal }),
    ...(context.direct.put && {
      writeFrom: (memory, signal) => writePartFrom(context, upload, { memory, signal }),
    }),
    state: async () => encodeState(upload),
    async commit(signal) {
      const confirmed = Number.isFinite(options.size)
        ? await complete(context, upload, signal)
        : await completeStream(context, upload, { ...options, signal });
      over = true;
      return confirmed;
    },
    async discard(signal) {
      if (over) return;
      over = true;
      await abandon(context, upload, signal);
    },
    // The parts stay, and with them what a later process goes on with.
    [Symbol.asyncDispose]: async () => {},
  };
}

const storage = ({ storageClass }: Context) =>
  storageClass === undefined ? {} : { StorageClass: storageClass };

async function begin(
  context: Context,
  place: Place,
  { size, meta, signal }: CreateChunksOptions,
): Promise<Upload> {
  const uploadId = await beginUpload(context, place, { meta, signal });
  return { place, size, uploadId, partBytes: partBytes(size), parts: new Map(), reach: 0 };
}

function encodeState({ uploadId, partBytes }: State): Uint8Array {
  return Buffer.from(JSON.stringify({ uploadId, partBytes } satisfies State));
}

function decodeState(bytes: Uint8Array, place: Place): State {
  try {
    const { uploadId, partBytes } = JSON.parse(Buffer.from(bytes).toString("utf8")) as Partial<State>;
    if (typeof uploadId === "string" && Number.isSafeInteger(partBytes) && (partBytes ?? 0) > 0)
      return { uploadId, partBytes: partBytes as number };
  } catch {
    // Said below.
  }
  throw new PbError("corrupt_checkpoint", "what is kept of this upload cannot be read", { path: place.path });
}

async function reopen(
  context: Context,
  place: Place,
  { size, resume, signal }: CreateChunksOptions & { readonly resume: Uint8Array },
): Promise<Upload> {
  const state = decodeState(resume, place);
  const upload: Upload = { place, size, ...state, parts: new Map(), reach: 0 };
  const progress = watchPages(context, place);
  let marker: string | undefined;
  do {
    const page = await listParts(context, upload, { marker, signal });
    for (const { PartNumber = 0, ETag, ChecksumCRC32, Size } of page.Parts ?? []) {
      if (Size === lengthOf(upload, PartNumber))
        upload.parts.set(PartNumber, completed(PartNumber, { ETag, ChecksumCRC32 }));
    }
    marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
    progress.page(marker, (page.Parts?.length ?? 0) > 0);
  } while (marker !== undefined);
  return upload;
}

async function listParts(
  context: Context,
  { place, uploadId }: Upload,
  { marker, signal }: { readonly marker: string | undefined; readonly signal: AbortSignal },
) {
  try {
    return await request(context, { path: place.path, signal }, (options) =>
      context.client.send(
        new ListPartsCommand({
          Bucket: place.bucket,
          Key: place.key,
          UploadId: uploadId,
          ...(marker === undefined ? {} : { PartNumberMarker: marker }),
        }),
        options,
      ),
    );
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new PbError("corrupt_checkpoint", "the server keeps this upload no more", {
      path: place.path,
      peer: context.name,
      cause: error,
    });
  }
}

const countOf = ({ size, partBytes }: Upload) => Math.max(1, Math.ceil(size / partBytes));

function lengthOf(upload: Upload, number: number): number {
  return Math.min(upload.partBytes, upload.size - (number - 1) * upload.partBytes);
}

function rangeOf(upload: Upload, number: number): ByteRange {
  const from = (number - 1) * upload.partBytes;
  return { from, to: from + lengthOf(upload, number) };
}

/** @throws PbError `internal` for what is no part; `no_space` beyond the last */
function numberOf(upload: Upload, { offset, length }: { readonly offset: number; readonly length: number }) {
  const number = offset / upload.partBytes + 1;
  const isPart = Number.isFinite(upload.size)
    ? length === lengthOf(upload, number)
    : length <= upload.partBytes;
  if (!Number.isInteger(number) || !isPart)
    throw new PbError("internal", `${length} bytes at ${offset} are not a part of ${upload.partBytes}`);
  if (number <= MOST_PARTS) return number;
  const words = `a stream may have ${MOST_PARTS} parts of ${upload.partBytes} bytes, and no more`;
  throw new PbError("no_space", words, {
    path: upload.place.path,
    hint: "write it to a file first: of one whose size is known the parts are as large as they need to be",
  });
}

interface Part {
  readonly offset: number;
  readonly parts: readonly Uint8Array[];
  readonly signal: AbortSignal;
}

async function writePart(context: Context, upload: Upload, { offset, parts, signal }: Part): Promise<void> {
  const { place, uploadId } = upload;
  // One copy: the library may go on with it after an abort, and a signed body is in one piece.
  const body = Buffer.concat(parts);
  const number = numberOf(upload, { offset, length: body.length });
  const sum = crc32Of(body);
  const answer = await request(context, { path: place.path, signal }, (options) =>
    context.client.send(
      new UploadPartCommand({
        Bucket: place.bucket,
        Key: place.key,
        UploadId: uploadId,
        PartNumber: number,
        Body: body,
        ChecksumCRC32: sum,
      }),
      options,
    ),
  );
  const { ETag, ChecksumCRC32 } = answer;
  written(context, upload, { number, sum, has: { ETag, ChecksumCRC32 }, end: offset + body.length });
}

/** False: not in this way. */
async function writePartFrom(
  context: Context,
  upload: Upload,
  { memory, signal }: { readonly memory: SendableMemory; readonly signal: AbortSignal },
): Promise<boolean> {
  const { place, uploadId } = upload;
  const { put } = context.direct;
  const number = numberOf(upload, memory);
  const query = { partNumber: `${number}`, uploadId };
  const sent =
    put &&
    (await request(context, { path: place.path, signal }, ({ abortSignal }) =>
      put(place, { query, memory, signal: abortSignal }),
    ));
  if (sent === undefined) return false;
  const { header } = sent.reply;
  const has = { ETag: header("etag"), ChecksumCRC32: header("x-amz-checksum-crc32") };
  written(context, upload, { number, sum: sent.sum, has, end: memory.offset + memory.length });
  return true;
}

interface Written {
  readonly number: number;
  readonly sum: string;
  /** What the server says. */
  readonly has: Pick<CompletedPart, "ETag" | "ChecksumCRC32">;
  /** Of the part, in the file. */
  readonly end: number;
}

/** @throws PbError `verification_failed` */
function written(context: Context, upload: Upload, { number, sum, has, end }: Written): void {
  if (has.ChecksumCRC32 !== undefined)
    mustEqual(context, upload.place, { sent: sum, has: has.ChecksumCRC32 });
  upload.parts.set(number, completed(number, has));
  upload.reach = Math.max(upload.reach, end);
}

/** A stream without a byte has no part, and an upload without one is none. */
async function completeStream(
  context: Context,
  upload: Upload,
  options: WriteWholeOptions,
): Promise<Confirmed> {
  upload.size = upload.reach;
  if (upload.parts.size > 0) return complete(context, upload, options.signal);
  await abandon(context, upload, options.signal);
  return writeWholeObject(context, upload.place, { ...options, bytes: new Uint8Array() });
}

function completed(
  number: number,
  { ETag, ChecksumCRC32 }: Pick<CompletedPart, "ETag" | "ChecksumCRC32">,
): CompletedPart {
  return {
    PartNumber: number,
    ...(ETag === undefined ? {} : { ETag }),
    ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }),
  };
}

async function complete(context: Context, upload: Upload, signal: AbortSignal): Promise<Confirmed> {
  const { place, uploadId, parts } = upload;
  const listed = Array.from({ length: countOf(upload) }, (_, index) => parts.get(index + 1));
  const missing = listed.indexOf(undefined);
  if (missing >= 0)
    throw new PbError("verification_failed", `the server does not have part ${missing + 1}`, {
      path: place.path,
    });
  const Parts = listed as CompletedPart[];
  try {
    const answer = await request(context, { path: place.path, signal }, (options) =>
      context.client.send(
        new CompleteMultipartUploadCommand({
          Bucket: place.bucket,
          Key: place.key,
          UploadId: uploadId,
          MultipartUpload: { Parts },
        }),
        options,
      ),
    );
    // A success without an ETag is an error that the SDK has not known for one: it looks at the last bytes only.
    if (answer.ETag === undefined && !(await isComplete(context, upload, signal)))
      throw unclear(context, place);
    compareWhole(context, place, { Parts, has: answer.ChecksumCRC32 });
  } catch (error) {
    // Completed by an earlier call whose answer was lost?
    if (!isNotFound(error) || !(await isComplete(context, upload, signal))) throw error;
  }
  if (Parts.every((part) => part.ChecksumCRC32 !== undefined)) return { how: "hash", algorithm: "crc32" };
  return sizeConfirmed(context, upload, signal);
}

interface Together {
  readonly Parts: readonly CompletedPart[];
  readonly has: string | undefined;
}

/** Where the server tells a checksum of the parts' checksums. */
function compareWhole(context: Context, place: Place, { Parts, has }: Together): void {
  const sums = Parts.flatMap(({ ChecksumCRC32 }) => ChecksumCRC32 ?? []);
  if (sums.length !== Parts.length || !has?.includes("-")) return;
  mustEqual(context, place, { sent: compositeOf(sums), has, final: true });
}

function unclear({ name }: Context, { path }: Place): PbError {
  return new PbError("io_error", "the server does not say that it has put the parts together", {
    path,
    peer: name,
    retryable: true,
  });
}

async function isComplete(context: Context, upload: Upload, signal: AbortSignal): Promise<boolean> {
  const head = await headObject(context, upload.place, signal);
  return head?.size === upload.size && head.etag.replaceAll('"', "").endsWith(`-${countOf(upload)}`);
}

async function sizeConfirmed(
  context: Context,
  { place, size }: Pick<Upload, "place" | "size">,
  signal: AbortSignal,
): Promise<Confirmed> {
  const head = await headObject(context, place, signal);
  if (head?.size === size) return { how: "size" };
  throw new PbError("verification_failed", `the server has ${head?.size ?? "no"} bytes instead of ${size}`, {
    path: place.path,
    peer: context.name,
  });
}
