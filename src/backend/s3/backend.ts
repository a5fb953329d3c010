/**
 * S3: any server that speaks it. Folders are what keys have in common; an empty one is kept by a marker "name/". Modification times are kept as
 * rclone keeps them. An object has no mode, no owner and no links.
 */
import type { EndpointConfig } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import type { Backend, Capabilities, ListBatch, ListOptions } from "../backend.ts";
import type { ChunkAccess } from "../chunks.ts";
import { Recent } from "../recent.ts";
import type { EndpointTools, OpenEndpoint } from "../registry.ts";
import { textSetting } from "../settings.ts";
import { either } from "../signals.ts";
import { makeFolder, removePlace, renamePlace, touchPlace } from "./change.ts";
import { MAX_CALLS, openClient } from "./client.ts";
import type { Context } from "./context.ts";
import { listPlace } from "./list.ts";
import { entryAt } from "./look.ts";
import { objectPlace, type Place, placeOf } from "./place.ts";
import { openSink, writeWholeObject } from "./sink.ts";
import { openSource, readWholeInto, readWholeObject } from "./source.ts";
import { removeBegunUploads } from "./uploads.ts";

const CAPABILITIES: Capabilities = {
  atomicRename: false,
  links: "an object of S3 cannot be a link",
  permissions: false,
  owners: false,
  mtimeResolutionNs: 1,
  serverSideCopy: true,
  writable: true,
  parallelRead: true,
  parallelWrite: true,
  resumeWrite: true,
  atomicReplace: true,
  hashes: true,
  setMtime: true,
  append: "an object of S3 cannot be made longer",
  folders: "S3 has keys; an empty folder is a marker object",
  watch: "S3 tells nobody of changes",
};

export const openS3: OpenEndpoint = async (
  config: EndpointConfig,
  { name, openFetcher }: EndpointTools,
): Promise<Backend> => {
  const closing = new AbortController();
  const storageClass = textSetting(config, "storage_class", name);
  const context: Context = {
    ...(await openClient(config, { name, openFetcher })),
    name,
    bucket: textSetting(config, "bucket", name) ?? "",
    exactTimes: config.settings.listed_times !== true,
    ...(storageClass === undefined
      ? {}
      : { storageClass: storageClass as NonNullable<Context["storageClass"]> }),
    unsure: new Map(),
    heads: new Recent(),
    closing: closing.signal,
  };
  return backend(context, { below: textSetting(config, "path", name) ?? "", closing });
};

interface Opened {
  /** The remote's `path`: what its root is. */
  readonly below: string;
  readonly closing: AbortController;
}

function backend(context: Context, { below, closing }: Opened): Backend {
  const root = placeOf(below, context.bucket);
  const at = (path: string): Place => placeBelow(root, path);
  async function close(): Promise<void> {
    closing.abort();
    context.client.destroy();
    context.direct.close();
  }
  return {
    scheme: "s3",
    name: context.name,
    capabilities: CAPABILITIES,
    list: (path, options) => list(context, path, { at, options }),
    stat: async (path, { signal }) => entryAt(context, at(path), signal),
    mkdir: async (path, { parents, signal }) => makeFolder(context, at(path), { parents, signal }),
    touch: async (path, options) => touchPlace(context, at(path), options),
    rename: async (from, to, options) => {
      notRoot(from);
      notRoot(to);
      await renamePlace(context, { from: at(from), to: at(to) }, options);
    },
    remove: async (path, options) => {
      notRoot(path);
      return removePlace(context, at(path), options);
    },
    native: { kind: "chunks", chunks: chunkAccess(context, at) },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** `..` cannot lead out of the remote's own root. */
function placeBelow(root: Place, path: string): Place {
  const inside = placeOf(path, root.bucket);
  if (root.bucket === "") return inside;
  const key = root.key === "" || inside.key === "" ? `${root.key}${inside.key}` : `${root.key}/${inside.key}`;
  return { bucket: root.bucket, key, path };
}

function notRoot(path: string): void {
  // Whatever the bucket is called.
  if (placeOf(path, "any").key !== "") return;
  throw new PbError("invalid_path", "the root itself cannot be moved or removed", { path });
}

async function* list(
  context: Context,
  path: string,
  { at, options }: { readonly at: (path: string) => Place; readonly options: ListOptions },
): AsyncGenerator<ListBatch, void, void> {
  using signals = either(options.signal, context.closing);
  const levels = options.recursive ? (options.maxDepth ?? 0) : 1;
  // None has less than no byte.
  const listedTimesUpTo = options.namesOnly ? Number.POSITIVE_INFINITY : (options.listedTimesUpTo ?? -1);
  yield* listPlace(context, at(path), { levels, listedTimesUpTo, signal: signals.signal });
}

function chunkAccess(context: Context, at: (path: string) => Place): ChunkAccess {
  const object = (path: string) => objectPlace(at(path));
  const { warm } = context.direct;
  const { bucket } = at("");
  return {
    maxCalls: MAX_CALLS,
    ...(warm && bucket !== "" && { warm: (bytes) => void warm(bucket, bytes) }),
    open: async (path, options) => openSource(context, object(path), options),
    readWholeInto: (path, memory, options) =>
      readWholeInto(context, { place: object(path), memory, ...options }),
    readWhole: async (path, into, options) =>
      readWholeObject(context, { place: object(path), into, ...options }),
    create: async (path, options) => openSink(context, object(path), options),
    writeWhole: async (path, bytes, options) =>
      writeWholeObject(context, object(path), { bytes, ...options }),
    removeBegun: async (path, options) => removeBegunUploads(context, object(path), options),
  };
}
