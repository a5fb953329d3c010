/** What is at a place. */
import type { Readable } from "node:stream";
import {
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import { type Entry, untold } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import type { Reply } from "../exchange.ts";
import { type About, type Context, type ObjectHead, request } from "./context.ts";
import { isNotFound } from "./errors.ts";
import { nameOf, type Place, parentOf, prefixOf } from "./place.ts";
import { METADATA, mtimeIn, mtimeOf } from "./times.ts";

/** An object's, or undefined when there is none under just this key. It is left for who opens the object next. */
export async function headObject(
  context: Context,
  place: Place,
  signal: AbortSignal,
): Promise<ObjectHead | undefined> {
  try {
    const head = await request(context, { path: place.path, signal }, async ({ abortSignal }) => {
      const reply = await context.direct.send(place, { method: "HEAD", headers: {}, signal: abortSignal });
      return reply ? headOf(reply) : headBySdk(context, place, abortSignal);
    });
    context.heads.leave(nameOf(place), head);
    return head;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    const command = new GetObjectCommand({ Bucket: place.bucket, Key: place.key, Range: "bytes=0-0" });
    throw await inWords(context, { path: place.path, signal, refused: error }, async (options) => {
      const { Body } = await context.client.send(command, options);
      (Body as Partial<Readable> | undefined)?.destroy?.();
    });
  }
}

/**
 * A HEAD is refused without a word; what is asked with a body to its answer says whether the keys are wrong or have no right to this. (versitygw says
 * of an access key that it does not know 404, of everything.)
 */
async function inWords(
  context: Context,
  { path, signal: caller, refused }: About & { readonly refused: unknown },
  ask: (options: { readonly abortSignal: AbortSignal }) => Promise<unknown>,
): Promise<PbError> {
  const error = PbError.from(refused);
  if (error.code !== "permission_denied" && error.code !== "not_found") return error;
  const signal = AbortSignal.any([caller, AbortSignal.timeout(WORDS_TIMEOUT_MS)]);
  const said = await request(context, { path, signal }, ask).then(
    () => undefined,
    (cause: unknown) => PbError.from(cause),
  );
  return said && REFUSALS.has(said.code) ? said : error;
}

const WORDS_TIMEOUT_MS = 10_000;
const REFUSALS: ReadonlySet<string> = new Set([
  "permission_denied",
  "unauthenticated",
  "token_invalid",
  "token_expired",
]);

function headOf({ headers, header }: Reply): ObjectHead {
  const metadata = Object.keys(headers).flatMap((name): [string, string][] =>
    name.startsWith(METADATA) ? [[name.slice(METADATA.length), header(name) ?? ""]] : [],
  );
  return {
    size: Number(header("content-length") ?? 0),
    mtimeNs: mtimeIn(header),
    etag: header("etag") ?? "",
    metadata: Object.fromEntries(metadata),
    contentType: header("content-type"),
  };
}

async function headBySdk(
  { client }: Context,
  { bucket, key }: Place,
  abortSignal: AbortSignal,
): Promise<ObjectHead> {
  const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal });
  return {
    size: head.ContentLength ?? 0,
    mtimeNs: mtimeOf(head.Metadata, head.LastModified),
    etag: head.ETag ?? "",
    metadata: head.Metadata ?? {},
    contentType: head.ContentType,
  };
}

/** Does any key begin as this folder's do? The bucket itself is one when it is there. */
export async function isFolder(context: Context, place: Place, signal: AbortSignal): Promise<boolean> {
  const { bucket, path } = place;
  if (bucket === "") return true;
  try {
    if (place.key === "") {
      await request(context, { path, signal }, (options) =>
        context.client.send(new HeadBucketCommand({ Bucket: bucket }), options),
      ).catch(async (error: unknown) => {
        const command = new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 });
        throw await inWords(context, { path, signal, refused: error }, (options) =>
          context.client.send(command, options),
        );
      });
      return true;
    }
    const found = await request(context, { path, signal }, (options) =>
      context.client.send(
        new ListObjectsV2Command({ Bucket: bucket, Prefix: prefixOf(place), MaxKeys: 1 }),
        options,
      ),
    );
    return (found.KeyCount ?? found.Contents?.length ?? 0) > 0;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

export type Found = "file" | "directory" | undefined;

export async function kindOf(context: Context, place: Place, signal: AbortSignal): Promise<Found> {
  if (place.key !== "" && (await headObject(context, place, signal)) !== undefined) return "file";
  return (await isFolder(context, place, signal)) ? "directory" : undefined;
}

/** @throws PbError `not_found` */
export async function entryAt(context: Context, place: Place, signal: AbortSignal): Promise<Entry> {
  if (place.key !== "") {
    const head = await headObject(context, place, signal);
    if (head) return fileEntry("", head);
  }
  if (await isFolder(context, place, signal)) return folderEntry("");
  throw notFound(context, place);
}

/** @throws PbError `not_found`, `not_a_directory`: what is to be made has no folder to be in */
export async function needParent(context: Context, place: Place, signal: AbortSignal): Promise<void> {
  const parent = parentOf(place);
  if (await isFolder(context, parent, signal)) return;
  for (let above = parent; above.key !== ""; above = parentOf(above)) {
    if ((await headObject(context, above, signal)) === undefined) continue;
    throw new PbError("not_a_directory", "a folder on the way there is a file", { path: place.path });
  }
  throw notFound(context, parent.key === "" ? parent : place);
}

export function notFound({ name }: Context, { bucket, key, path }: Place): PbError {
  if (key === "" && bucket !== "") {
    const hint = "check its name and the remote's endpoint and region; pb mkdir makes it where the keys may";
    return new PbError("not_found", `there is no bucket ${bucket}`, { path, peer: name, hint });
  }
  return new PbError("not_found", "there is nothing of this name", { path, peer: name });
}

export function fileEntry(
  path: string,
  { size, mtimeNs, etag }: Pick<ObjectHead, "size" | "mtimeNs" | "etag">,
): Entry {
  const version = etag === "" ? {} : { version: etag };
  return { path, kind: "file", size, mtimeNs, ...untold("file"), ...version };
}

/** A folder is what keys have in common, and has no time. */
export function folderEntry(path: string): Entry {
  return { path, kind: "directory", size: 0, mtimeNs: 0n, ...untold("directory") };
}
