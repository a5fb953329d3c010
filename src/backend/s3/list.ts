/**
 * Listing folder by folder with a delimiter: S3's flat order puts "a-b" before "a/x", and the contract wants "a" and all below it
 * before "a-b".
 */
import { ListBucketsCommand, type ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import type { Entry } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { joinPath } from "../../model/path.ts";
import type { ListBatch } from "../backend.ts";
import { listedName } from "../path.ts";
import { type Folder, inParallel, walkFolders } from "../walk.ts";
import { type Context, request } from "./context.ts";
import { entryAt, fileEntry, folderEntry, headObject, isFolder, notFound } from "./look.ts";
import { keyReader, pagesOf, watchPages } from "./pages.ts";
import { type Place, prefixOf } from "./place.ts";
import { mtimeOf } from "./times.ts";

/** HEADs at once for exact times. */
const HEADS = 32;
/** In one folder: a listing that never comes to an end must not fill the memory. */
const MAX_NAMES = 10_000_000;

export interface Walk {
  /** Levels below the place; 0: all. */
  readonly levels: number;
  /** As `ListOptions` has it. */
  readonly listedTimesUpTo: number;
  readonly signal: AbortSignal;
}

/** @throws PbError `not_found` */
export async function* listPlace(
  context: Context,
  root: Place,
  walk: Walk,
): AsyncGenerator<ListBatch, void, void> {
  if (root.key !== "" && (await headObject(context, root, walk.signal)) !== undefined) {
    yield { entries: [await entryAt(context, root, walk.signal)], errors: [] };
    return;
  }
  if (!(await isFolder(context, root, walk.signal))) throw notFound(context, root);
  const { listedTimesUpTo, signal } = walk;
  const listing: Listing = { context, root, listedTimesUpTo, signal };
  const batches = walkFolders({ read: (at) => readFolder(listing, at), levels: walk.levels });
  for await (const batch of batches) {
    yield context.exactTimes ? { ...batch, entries: await dated(listing, batch.entries) } : batch;
  }
}

interface Listing extends Pick<Walk, "listedTimesUpTo"> {
  readonly context: Context;
  readonly root: Place;
  readonly signal: AbortSignal;
}

/** At the root of all buckets, the first component is a bucket. */
function placeBelow(root: Place, at: string): Place {
  const path = joinPath(root.path, at);
  if (root.bucket !== "") return { bucket: root.bucket, key: joinPath(root.key, at), path };
  const [bucket = "", ...rest] = at.split("/");
  return { bucket, key: rest.join("/"), path };
}

async function readFolder({ context, root, signal }: Listing, at: string): Promise<Folder> {
  const place = placeBelow(root, at);
  if (place.bucket === "") return buckets(context, place, signal);
  const found = new Map<string, Entry>();
  const errors: PbError[] = [];
  const progress = watchPages(context, place);
  for await (const page of pagesOf(context, place, { depth: "folder", signal })) {
    const before = found.size;
    collect(page, { place, at, found, errors });
    if (found.size > MAX_NAMES) throw new PbError("resource_exhausted", "the listing does not end", place);
    progress.page(page.NextContinuationToken, found.size > before);
  }
  return { entries: [...found.values()], errors };
}

async function buckets(context: Context, { path }: Place, signal: AbortSignal): Promise<Folder> {
  const { Buckets = [] } = await request(context, { path, signal }, (options) =>
    context.client.send(new ListBucketsCommand({}), options),
  );
  const names = Buckets.map(({ Name = "" }) => listedName(Name, path)).sort();
  return { entries: names.map(folderEntry), errors: [] };
}

interface Collecting {
  readonly place: Place;
  readonly at: string;
  readonly found: Map<string, Entry>;
  readonly errors: PbError[];
}

function collect(page: ListObjectsV2CommandOutput, into: Collecting): void {
  const decode = keyReader(page);
  const prefix = prefixOf(into.place);
  const add = (key: string, made: (path: string) => Entry) => {
    try {
      if (!key.startsWith(prefix)) throw strayed(into.place, key);
      const name = listedName(key.slice(prefix.length), into.place.path);
      const path = joinPath(into.at, name);
      // An object and a folder of one name are two things here and cannot be elsewhere.
      if (into.found.has(name)) throw twice(into.place, name);
      into.found.set(name, made(path));
    } catch (error) {
      into.errors.push(PbError.from(error));
    }
  };
  for (const { Prefix = "" } of page.CommonPrefixes ?? [])
    add(decode(Prefix).replace(/\/$/, ""), folderEntry);
  for (const { Key = "", Size = 0, LastModified, ETag = "" } of page.Contents ?? []) {
    const key = decode(Key);
    // The folder's own marker.
    if (key === prefix) continue;
    add(key, (path) => {
      if (!Number.isSafeInteger(Size) || Size < 0) throw impossible(path, Size);
      return fileEntry(path, { size: Size, mtimeNs: mtimeOf(undefined, LastModified), etag: ETag });
    });
  }
}

function impossible(path: string, size: number): PbError {
  return new PbError("protocol_violation", `the server listed an object of ${size} bytes`, { path });
}

/** A key that is not below the folder that was asked for. */
export function strayed({ path }: Place, key: string): PbError {
  return new PbError(
    "path_escapes",
    `the server listed ${JSON.stringify(key)}, which is not in this folder`,
    {
      path,
    },
  );
}

function twice({ path }: Place, name: string): PbError {
  return new PbError("exists", "an object and a folder have this name; only one of them is used", {
    path: joinPath(path, name),
    hint: "rename the object",
  });
}

/** With the mtimes that uploaders kept. An object that is gone meanwhile keeps what the listing said. */
async function dated(
  { context, root, listedTimesUpTo, signal }: Listing,
  entries: readonly Entry[],
): Promise<readonly Entry[]> {
  const result = [...entries];
  await inParallel(result, HEADS, async (entry, index) => {
    if (entry.kind !== "file" || entry.size <= listedTimesUpTo) return;
    const head = await headObject(context, placeBelow(root, entry.path), signal);
    if (head) result[index] = fileEntry(entry.path, head);
  });
  return result;
}
