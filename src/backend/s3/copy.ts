/** Copies within the server: what a rename and a new mtime are made of, as S3 has neither. */
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { PbError } from "../../model/error.ts";
import { inParallel } from "../walk.ts";
import { type Context, type ObjectHead, request } from "./context.ts";
import type { Place } from "./place.ts";

/** Above it CopyObject refuses (S3 API reference). */
const MAX_SINGLE_COPY_BYTES = 5 * 1024 ** 3;
const COPY_PART_BYTES = 1024 ** 3;
const COPY_PARTS_AT_ONCE = 8;

export interface Copying {
  readonly from: Place;
  readonly to: Place;
  readonly head: ObjectHead;
  /** Instead of what `from` has. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Of exactly the version in `head`. @throws PbError `source_changed` when it is another by now */
export async function copyObject(context: Context, copying: Copying): Promise<void> {
  if (copying.head.size > MAX_SINGLE_COPY_BYTES) return copyInParts(context, copying);
  const { from, to, head, metadata, signal } = copying;
  await request(context, { path: from.path, signal }, (options) =>
    context.client.send(
      new CopyObjectCommand({
        Bucket: to.bucket,
        Key: to.key,
        CopySource: copySource(from),
        CopySourceIfMatch: head.etag,
        ...(metadata === undefined
          ? { MetadataDirective: "COPY" as const }
          : {
              MetadataDirective: "REPLACE" as const,
              Metadata: { ...metadata },
              ContentType: head.contentType,
            }),
      }),
      options,
    ),
  );
}

async function copyInParts(context: Context, { from, to, head, metadata, signal }: Copying): Promise<void> {
  const at = { path: from.path, signal };
  const target = { Bucket: to.bucket, Key: to.key };
  const { UploadId } = await request(context, at, (options) =>
    context.client.send(
      new CreateMultipartUploadCommand({
        ...target,
        Metadata: { ...(metadata ?? head.metadata) },
        ContentType: head.contentType,
      }),
      options,
    ),
  );
  if (UploadId === undefined)
    throw new PbError("protocol_violation", "the server began no upload", {
      path: to.path,
      peer: context.name,
    });
  try {
    const parts = await copyParts(context, { from, to, head, signal, uploadId: UploadId });
    await request(context, at, (options) =>
      context.client.send(
        new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }),
        options,
      ),
    );
  } catch (error) {
    // What it holds costs its owner until it is told to go; the caller's signal may be why this ends.
    await context.client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => {});
    throw error;
  }
}

async function copyParts(
  context: Context,
  { from, to, head, signal, uploadId }: Copying & { readonly uploadId: string },
): Promise<CompletedPart[]> {
  const count = Math.ceil(head.size / COPY_PART_BYTES);
  const parts: CompletedPart[] = [];
  await inParallel(Array.from({ length: count }), COPY_PARTS_AT_ONCE, async (_, index) => {
    const start = index * COPY_PART_BYTES;
    const end = Math.min(head.size, start + COPY_PART_BYTES) - 1;
    const { CopyPartResult } = await request(context, { path: from.path, signal }, (options) =>
      context.client.send(
        new UploadPartCopyCommand({
          Bucket: to.bucket,
          Key: to.key,
          UploadId: uploadId,
          PartNumber: index + 1,
          CopySource: copySource(from),
          CopySourceIfMatch: head.etag,
          CopySourceRange: `bytes=${start}-${end}`,
        }),
        options,
      ),
    );
    parts[index] = { PartNumber: index + 1, ETag: CopyPartResult?.ETag };
  });
  return parts;
}

const copySource = ({ bucket, key }: Place) =>
  `${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;
