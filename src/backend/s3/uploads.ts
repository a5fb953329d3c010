/** Uploads that were begun and never recorded: a process was killed between the server's answer and its own disk. */
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListPartsCommand,
} from "@aws-sdk/client-s3";
import type { RemoveBegunOptions } from "../chunks.ts";
import { type Context, request } from "./context.ts";
import { isNotFound } from "./errors.ts";
import { keyReader, watchPages } from "./pages.ts";
import type { Place } from "./place.ts";

/** The server's clock and this machine's. S3 bears 15 minutes; but what others began before this job is none of its business, and a minute is much for two clocks. */
const CLOCK_SLACK_MS = 60_000;

/**
 * Aborts the uploads of exactly this key that were begun in that time and have no part. A listing shows nothing of an upload that its owner has chosen
 * (metadata and tags do not show before the object is there), so key, time and emptiness must do: one with a part is another's, or one that is recorded.
 */
export async function removeBegunUploads(
  context: Context,
  place: Place,
  { sinceMs, untilMs = Date.now(), signal }: RemoveBegunOptions,
): Promise<void> {
  for await (const { uploadId, begunMs } of uploadsOf(context, place, signal)) {
    if (begunMs < sinceMs - CLOCK_SLACK_MS || begunMs > untilMs + CLOCK_SLACK_MS) continue;
    if (await isEmpty(context, { place, uploadId }, signal))
      await abandon(context, { place, uploadId }, signal);
  }
}

interface Begun {
  readonly uploadId: string;
  /** By the server's clock, ms since 1970. */
  readonly begunMs: number;
}

/** Those of one key come before those of the keys that begin like it: nearly always that is one page. */
async function* uploadsOf(context: Context, place: Place, signal: AbortSignal): AsyncGenerator<Begun> {
  const progress = watchPages(context, place);
  let marker: Marker | undefined;
  do {
    const page = await listUploads(context, place, { marker, signal });
    const decode = keyReader(page);
    const uploads = page.Uploads ?? [];
    for (const { Key = "", UploadId, Initiated } of uploads) {
      if (decode(Key) !== place.key || UploadId === undefined || Initiated === undefined) continue;
      yield { uploadId: UploadId, begunMs: Initiated.getTime() };
    }
    marker = nextMarker(page);
    progress.page(marker && `${marker.key} ${marker.uploadId}`, uploads.length > 0);
  } while (marker !== undefined && marker.key === place.key);
}

interface Marker {
  readonly key: string;
  readonly uploadId: string | undefined;
}

function nextMarker(page: ListMultipartUploadsCommandOutput): Marker | undefined {
  const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
  if (IsTruncated !== true || !NextKeyMarker) return undefined;
  return { key: keyReader(page)(NextKeyMarker), uploadId: NextUploadIdMarker };
}

interface Paging {
  readonly marker: Marker | undefined;
  readonly signal: AbortSignal;
}

function listUploads(context: Context, { bucket, key, path }: Place, { marker, signal }: Paging) {
  const command = new ListMultipartUploadsCommand({
    Bucket: bucket,
    Prefix: key,
    EncodingType: "url",
    ...(marker && { KeyMarker: marker.key }),
    ...(marker?.uploadId && { UploadIdMarker: marker.uploadId }),
  });
  return request(context, { path, signal }, (options) => context.client.send(command, options));
}

interface Upload {
  readonly place: Place;
  readonly uploadId: string;
}

/** One that is gone meanwhile is nobody's to abort. */
async function isEmpty(context: Context, { place, uploadId }: Upload, signal: AbortSignal): Promise<boolean> {
  const { bucket, key, path } = place;
  const command = new ListPartsCommand({ Bucket: bucket, Key: key, UploadId: uploadId, MaxParts: 1 });
  try {
    const { Parts = [] } = await request(context, { path, signal }, (options) =>
      context.client.send(command, options),
    );
    return Parts.length === 0;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** Idempotent. */
export async function abandon(
  context: Context,
  { place, uploadId }: Upload,
  signal: AbortSignal,
): Promise<void> {
  try {
    await request(context, { path: place.path, signal }, (options) =>
      context.client.send(
        new AbortMultipartUploadCommand({ Bucket: place.bucket, Key: place.key, UploadId: uploadId }),
        options,
      ),
    );
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
