import type { S3Client, StorageClass } from "@aws-sdk/client-s3";
import type { Recent } from "../recent.ts";
import { either, refuseAborted } from "../signals.ts";
import type { Direct } from "./direct.ts";
import { s3Error } from "./errors.ts";

/** What every part of this backend works with. */
export interface Context {
  readonly client: S3Client;
  /** For what is asked of each object. */
  readonly direct: Direct;
  /** The remote's name, in errors. */
  readonly name: string;
  /** The bucket that the remote is bound to, or "". */
  readonly bucket: string;
  /** True: a listing asks each object for the mtime that its uploader kept (one HEAD each). */
  readonly exactTimes: boolean;
  /** Of new objects; the bucket's own where it is absent. */
  readonly storageClass?: StorageClass;
  /** Objects whose upload may have begun without an answer, "bucket/key", and since when, ms since 1970. */
  readonly unsure: Map<string, number>;
  /** By bucket and key. */
  readonly heads: Recent<ObjectHead>;
  readonly closing: AbortSignal;
}

/** What HEAD tells of an object. */
export interface ObjectHead {
  readonly size: number;
  readonly mtimeNs: bigint;
  /** With its quotes, as `If-Match` takes it. */
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly contentType: string | undefined;
}

/** How long and about what a request is. */
export interface About {
  readonly path: string;
  readonly signal: AbortSignal;
}

/** One request. @throws PbError as errors.ts maps it; `aborted` when the caller or `close` says so */
export async function request<T>(
  context: Context,
  { path, signal: caller }: About,
  run: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  using signals = either(caller, context.closing);
  refuseAborted(signals.signal);
  try {
    return await run({ abortSignal: signals.signal });
  } catch (error) {
    refuseAborted(signals.signal);
    throw s3Error(error, { path, peer: context.name });
  }
}
