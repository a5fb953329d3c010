/** mkdir, touch, rename, remove: on keys, which know of no folders. A folder that must stay though empty is a marker, an empty object "name/". */
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { PbError } from "../../model/error.ts";
import type { RemoveResult } from "../backend.ts";
import { inParallel } from "../walk.ts";
import { type Context, request } from "./context.ts";
import { copyObject } from "./copy.ts";
import { strayed } from "./list.ts";
import { headObject, isFolder, kindOf, needParent, notFound } from "./look.ts";
import { keyReader, pagesOf, watchPages } from "./pages.ts";
import { objectPlace, type Place, parentOf, prefixOf } from "./place.ts";
import { MTIME_KEY, mtimeMetadata } from "./times.ts";

/** What AWS's console and most tools give a marker. */
const MARKER_TYPE = "application/x-directory";
/** Most that DeleteObjects takes (S3 API reference). */
const DELETE_BATCH = 1_000;
/** Copies at once when a folder is renamed. */
const COPIES = 16;

export interface MakeOptions {
  readonly parents: boolean;
  readonly signal: AbortSignal;
}

/** True when it was not there. */
export async function makeFolder(
  context: Context,
  place: Place,
  { parents, signal }: MakeOptions,
): Promise<boolean> {
  if (place.bucket === "") return exists(place, parents);
  if (place.key !== "" && (await headObject(context, place, signal)) !== undefined)
    throw new PbError("exists", "a file has this name", { path: place.path });
  if (await isFolder(context, place, signal)) return exists(place, parents);
  if (place.key === "") return makeBucket(context, place, signal);
  if (parents) await makeParents(context, place, signal);
  else await needParent(context, place, signal);
  await putEmpty(context, { place, key: prefixOf(place), type: MARKER_TYPE, signal });
  return true;
}

function exists(place: Place, fine: boolean): false {
  if (fine) return false;
  throw new PbError("exists", "it is there already", { path: place.path });
}

async function makeBucket(context: Context, { bucket, path }: Place, signal: AbortSignal): Promise<true> {
  await request(context, { path, signal }, (options) =>
    context.client.send(new CreateBucketCommand({ Bucket: bucket }), options),
  );
  return true;
}

/** A file on the way is an error; folders need no marker of their own, as what is made below is one. */
async function makeParents(context: Context, place: Place, signal: AbortSignal): Promise<void> {
  for (let above = parentOf(place); above.key !== ""; above = parentOf(above)) {
    if ((await headObject(context, above, signal)) !== undefined)
      throw new PbError("not_a_directory", "a folder on the way there is a file", { path: place.path });
  }
  // A bucket is made by its own name only: a misspelt one shall not come into being on the way to a file.
  const bucket = { ...place, key: "" };
  if (!(await isFolder(context, bucket, signal))) throw notFound(context, bucket);
}

interface Empty {
  readonly place: Place;
  readonly key: string;
  readonly type?: string;
  readonly mtimeNs?: bigint;
  readonly signal: AbortSignal;
}

async function putEmpty(context: Context, { place, key, type, mtimeNs, signal }: Empty): Promise<void> {
  await request(context, { path: place.path, signal }, (options) =>
    context.client.send(
      new PutObjectCommand({
        Bucket: place.bucket,
        Key: key,
        Body: new Uint8Array(),
        ...(type === undefined ? {} : { ContentType: type }),
        ...(mtimeNs === undefined ? {} : { Metadata: { [MTIME_KEY]: mtimeMetadata(mtimeNs) } }),
      }),
      options,
    ),
  );
}

export interface TouchOptions {
  readonly mtimeNs?: bigint;
  readonly create: boolean;
  readonly signal: AbortSignal;
}

/** A new mtime is new metadata, which S3 changes only by a copy onto itself. A folder's is not kept. */
export async function touchPlace(context: Context, at: Place, options: TouchOptions): Promise<void> {
  const { create, signal } = options;
  const place = objectPlace(at);
  const mtimeNs = options.mtimeNs ?? BigInt(Date.now()) * 1_000_000n;
  const head = await headObject(context, place, signal);
  if (head) {
    const metadata = { ...head.metadata, [MTIME_KEY]: mtimeMetadata(mtimeNs) };
    return copyObject(context, { from: place, to: place, head, metadata, signal });
  }
  if (await isFolder(context, place, signal)) return;
  if (!create) throw notFound(context, place);
  await needParent(context, place, signal);
  await putEmpty(context, { place, key: place.key, mtimeNs, signal });
}

export interface RenameOptions {
  readonly replace: boolean;
  readonly signal: AbortSignal;
}

/** Copies, then removes: not atomic, and a reader may see both names for a while. */
export async function renamePlace(
  context: Context,
  { from: source, to: target }: { readonly from: Place; readonly to: Place },
  { replace, signal }: RenameOptions,
): Promise<void> {
  const [from, to] = [objectPlace(source), objectPlace(target)];
  const head = await headObject(context, from, signal);
  if (!head && !(await isFolder(context, from, signal))) throw notFound(context, from);
  await mayBecome(context, to, { replace, file: head !== undefined, signal });
  if (from.bucket === to.bucket && from.key === to.key) return;
  await needParent(context, to, signal);
  if (!head) return renameFolder(context, { from, to }, signal);
  await copyObject(context, { from, to, head, signal });
  await removeKeys(context, { place: from, keys: [from.key], signal });
}

async function mayBecome(
  context: Context,
  to: Place,
  {
    replace,
    file,
    signal,
  }: { readonly replace: boolean; readonly file: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const there = await kindOf(context, to, signal);
  if (there === undefined) return;
  if (!replace) throw new PbError("exists", "something has this name already", { path: to.path });
  if (there === "directory" && file)
    throw new PbError("is_a_directory", "a folder has this name", { path: to.path });
  if (there === "file" && !file)
    throw new PbError("not_a_directory", "a file has this name", { path: to.path });
  if (there === "directory" && !(await isEmptyFolder(context, to, signal)))
    throw new PbError("not_empty", "the folder that is there is not empty", { path: to.path });
}

async function isEmptyFolder(context: Context, place: Place, signal: AbortSignal): Promise<boolean> {
  const { Contents = [] } = await request(context, { path: place.path, signal }, (options) =>
    context.client.send(
      new ListObjectsV2Command({
        Bucket: place.bucket,
        Prefix: prefixOf(place),
        MaxKeys: 2,
        EncodingType: "url",
      }),
      options,
    ),
  );
  return Contents.every(({ Size = 0, Key = "" }) => Size === 0 && Key.endsWith("/")) && Contents.length < 2;
}

async function renameFolder(
  context: Context,
  { from, to }: { readonly from: Place; readonly to: Place },
  signal: AbortSignal,
): Promise<void> {
  const prefix = prefixOf(from);
  if (from.bucket === to.bucket && prefixOf(to).startsWith(prefix))
    throw new PbError("invalid_argument", "a folder cannot be moved into itself", { path: to.path });
  const moved: string[] = [];
  for await (const keys of keysBelow(context, from, signal)) {
    await inParallel(keys, COPIES, async (key) => {
      const old = { ...from, key };
      const target = { ...to, key: `${prefixOf(to)}${key.slice(prefix.length)}` };
      // A marker has nothing to copy.
      if (key.endsWith("/"))
        return putEmpty(context, { place: target, key: target.key, type: MARKER_TYPE, signal });
      const head = await headObject(context, old, signal);
      if (head) await copyObject(context, { from: old, to: target, head, signal });
    });
    moved.push(...keys);
  }
  await removeKeys(context, { place: from, keys: moved, signal });
}

export interface RemoveOptions {
  readonly recursive: boolean;
  readonly signal: AbortSignal;
}

export async function removePlace(
  context: Context,
  place: Place,
  { recursive, signal }: RemoveOptions,
): Promise<RemoveResult> {
  if (place.bucket === "" || (place.key === "" && context.bucket !== ""))
    throw new PbError("invalid_path", "the root itself cannot be removed", { path: place.path });
  if (place.key !== "" && (await headObject(context, place, signal)) !== undefined) {
    await removeKeys(context, { place, keys: [place.key], signal });
    return { files: 1, directories: 0 };
  }
  if (!(await isFolder(context, place, signal))) throw notFound(context, place);
  if (!recursive && !(await isEmptyFolder(context, place, signal)))
    throw new PbError("not_empty", "the folder is not empty", {
      path: place.path,
      hint: "remove what is in it too: --recursive",
    });
  return removeFolder(context, place, signal);
}

async function removeFolder(context: Context, place: Place, signal: AbortSignal): Promise<RemoveResult> {
  const count = counter(prefixOf(place));
  // A page is gone before the next is asked for: the listing always begins anew.
  for await (const keys of keysBelow(context, place, signal)) {
    for (const key of keys) count.add(key);
    await removeKeys(context, { place, keys, signal });
  }
  if (place.key === "")
    await request(context, { path: place.path, signal }, (options) =>
      context.client.send(new DeleteBucketCommand({ Bucket: place.bucket }), options),
    );
  return count.result();
}

/** Files and folders of keys that come in their order, in which those of one folder are together. */
function counter(prefix: string): { add(key: string): void; result(): RemoveResult } {
  let files = 0;
  let directories = 1;
  let open: readonly string[] = [];
  return {
    add(key) {
      const parts = key.slice(prefix.length).split("/");
      // A marker ends with a slash: its last part is empty.
      if (parts.pop() !== "") files += 1;
      const same = parts.findIndex((part, index) => part !== open[index]);
      if (same >= 0) directories += parts.length - same;
      open = parts;
    },
    result: () => ({ files, directories }),
  };
}

/** All keys of a folder, its marker too, a thousand at a time. */
async function* keysBelow(
  context: Context,
  place: Place,
  signal: AbortSignal,
): AsyncGenerator<readonly string[], void, void> {
  const prefix = prefixOf(place);
  const progress = watchPages(context, place);
  for await (const page of pagesOf(context, place, { depth: "tree", signal })) {
    const decode = keyReader(page);
    const keys = (page.Contents ?? []).map(({ Key = "" }) => decode(Key));
    // What is not in this folder is neither moved nor removed, whatever the server says.
    const stray = keys.find((key) => !key.startsWith(prefix));
    if (stray !== undefined) throw strayed(place, stray);
    if (keys.length > 0) yield keys;
    progress.page(page.NextContinuationToken, keys.length > 0);
  }
}

interface Removing {
  readonly place: Place;
  readonly keys: readonly string[];
  readonly signal: AbortSignal;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what XML 1.0 cannot hold
const NOT_IN_XML = /[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/;

async function removeKeys(context: Context, { place, keys, signal }: Removing): Promise<void> {
  const inXml = keys.length > 1 ? keys.filter((key) => !NOT_IN_XML.test(key)) : [];
  const single = inXml.length === 0 ? keys : keys.filter((key) => NOT_IN_XML.test(key));
  for (let at = 0; at < inXml.length; at += DELETE_BATCH)
    await removeBatch(context, { place, keys: inXml.slice(at, at + DELETE_BATCH), signal });
  await inParallel(single, COPIES, (key) =>
    request(context, { path: place.path, signal }, (options) =>
      context.client.send(new DeleteObjectCommand({ Bucket: place.bucket, Key: key }), options),
    ),
  );
}

async function removeBatch(context: Context, { place, keys, signal }: Removing): Promise<void> {
  const { Errors = [] } = await request(context, { path: place.path, signal }, (options) =>
    context.client.send(
      new DeleteObjectsCommand({
        Bucket: place.bucket,
        Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
      }),
      options,
    ),
  );
  const [first] = Errors;
  if (first === undefined) return;
  const { Code = "", Message = "", Key = "" } = first;
  throw new PbError(
    Code === "AccessDenied" ? "permission_denied" : "io_error",
    `${Message || Code}: ${Key}`,
    {
      path: place.path,
      peer: context.name,
    },
  );
}
