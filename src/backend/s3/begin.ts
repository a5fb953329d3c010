/** Beginning an upload so that nobody is left with one that he does not know of: an answer may be late, or lost. */
import { CreateMultipartUploadCommand } from "@aws-sdk/client-s3";
import { type ErrorCode, PbError } from "../../model/error.ts";
import type { FileMeta } from "../chunks.ts";
import { aborted, refuseAborted } from "../signals.ts";
import { type Context, request } from "./context.ts";
import type { Place } from "./place.ts";
import { MTIME_KEY, mtimeMetadata } from "./times.ts";
import { abandon, removeBegunUploads } from "./uploads.ts";

/** An answer that is on its way is waited for so long when the caller wants to end: an upload is given up by its id alone. */
const LATE_MS = 3_000;
/** And for giving it up. */
const ABANDON_MS = 5_000;

/** With these the server may have begun it all the same; with the others it has said, or never heard, that it is to. */
const UNSURE: ReadonlySet<ErrorCode> = new Set([
  "timeout",
  "connection_lost",
  "io_error",
  "protocol_violation",
]);

export interface BeginOptions {
  readonly meta: FileMeta;
  readonly signal: AbortSignal;
}

/** The new upload's id. @throws PbError */
export async function beginUpload(
  context: Context,
  place: Place,
  { meta, signal }: BeginOptions,
): Promise<string> {
  refuseAborted(signal);
  const name = `${place.bucket}/${place.key}`;
  await removeUnsure(context, place, { name, signal });
  const sinceMs = Date.now();
  const uploadId = await create(context, place, { meta, signal }).catch((error: unknown) => {
    if (UNSURE.has(PbError.from(error).code)) context.unsure.set(name, sinceMs);
    throw error;
  });
  if (!signal.aborted) return uploadId;
  const patience = AbortSignal.timeout(ABANDON_MS);
  await abandon(context, { place, uploadId }, patience).catch(() => undefined);
  throw aborted(signal);
}

/** What a try before this one may have begun. Where that can't be seen, it stays. */
async function removeUnsure(
  context: Context,
  place: Place,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal },
): Promise<void> {
  const sinceMs = context.unsure.get(name);
  if (sinceMs === undefined) return;
  await removeBegunUploads(context, place, { sinceMs, signal }).catch(() => undefined);
  context.unsure.delete(name);
}

async function create(context: Context, place: Place, { meta, signal }: BeginOptions): Promise<string> {
  const { bucket, key, path } = place;
  const { storageClass, name: peer } = context;
  using late = later(signal, LATE_MS);
  const command = new CreateMultipartUploadCommand({
    Bucket: bucket,
    Key: key,
    ChecksumAlgorithm: "CRC32",
    Metadata: { [MTIME_KEY]: mtimeMetadata(meta.mtimeNs) },
    ...(storageClass === undefined ? {} : { StorageClass: storageClass }),
  });
  const { UploadId } = await request(context, { path, signal: late.signal }, (options) =>
    context.client.send(command, options),
  );
  if (UploadId !== undefined) return UploadId;
  throw new PbError("protocol_violation", "the server began no upload", { path, peer });
}

/** Aborts so much later than `signal`. `dispose` leaves neither listener nor timer behind. */
function later(signal: AbortSignal, ms: number): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const start = () => {
    timer = setTimeout(() => controller.abort(signal.reason), ms);
  };
  signal.addEventListener("abort", start, { once: true });
  const dispose = () => {
    signal.removeEventListener("abort", start);
    clearTimeout(timer);
  };
  return { signal: controller.signal, [Symbol.dispose]: dispose };
}
