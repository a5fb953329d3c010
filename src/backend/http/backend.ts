/**
 * Web servers: reads by ranges, lists by the server's own index pages, writes by PUT and removes by DELETE where the server lets one. HTTP knows
 * no folders, no names to change and no times to set.
 */
import type { EndpointConfig } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import type { Backend, Capabilities } from "../backend.ts";
import type { ChunkAccess, ChunkSink, Confirmed, CreateChunksOptions } from "../chunks.ts";
import type { EndpointTools, OpenEndpoint } from "../registry.ts";
import { refuseAborted } from "../signals.ts";
import { MAX_CALLS, openWebClient, type WebClient } from "../web/client.ts";
import { listFolders } from "../web/listing.ts";
import { componentsOf } from "../web/path.ts";
import { openSource, readWhole, readWholeInto } from "../web/source.ts";
import { refuseOtherSize, startUpload } from "../web/upload.ts";
import { headOf } from "../web/version.ts";
import { entryAt, readFolder } from "./look.ts";

const CAPABILITIES: Capabilities = {
  atomicRename: false,
  links: "a web server shows what links lead to, and makes none",
  permissions: false,
  owners: false,
  mtimeResolutionNs: 1_000_000_000,
  serverSideCopy: false,
  writable: true,
  parallelRead: true,
  parallelWrite: "a PUT is one stream",
  resumeWrite: "a PUT that broke off begins anew",
  atomicReplace: "what is to be seen while a PUT runs is the server's affair",
  hashes: "few servers send a digest",
  setMtime: "HTTP has no way to set a time",
  append: "HTTP has no way to make a file longer",
  folders: "HTTP has no folders of its own",
  watch: "HTTP tells nobody of changes",
};

export const openHttp: OpenEndpoint = async (
  config: EndpointConfig,
  tools: EndpointTools,
): Promise<Backend> => {
  const client = await openWebClient(config, tools);
  const lacks = async (
    what: string,
    { paths, signal }: { readonly paths: readonly string[]; readonly signal: AbortSignal },
  ): Promise<never> => {
    refuseAborted(signal);
    const path = checkedPaths(client, paths);
    throw new PbError("unsupported", `a web server has no way to ${what}`, { path, peer: client.peer });
  };
  return {
    scheme: "http",
    name: client.peer,
    capabilities: CAPABILITIES,
    list: (path, options) => listFolders(client, path, { entryAt, readFolder, ...options }),
    stat: async (path, { signal }) => entryAt(client, { path, signal }),
    mkdir: (path, { signal }) => lacks("make a folder", { paths: [path], signal }),
    touch: (path, { create, signal }) => touch(client, path, { create, signal }),
    rename: async (from, to, { signal }) => {
      if (isRoot(from) || isRoot(to)) throw rootError(from);
      return lacks("rename", { paths: [from, to], signal });
    },
    remove: (path, { signal }) => remove(client, path, signal),
    native: { kind: "chunks", chunks: chunkAccess(client) },
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  };
};

/** The first of them. @throws PbError `path_escapes`, `invalid_path` for any */
function checkedPaths(client: WebClient, paths: readonly string[]): string {
  for (const path of paths) client.urlOf(path);
  return paths[0] ?? "";
}

/** @throws PbError `path_escapes`, `invalid_path` */
const isRoot = (path: string) => componentsOf(path).length === 0;

function rootError(path: string): PbError {
  return new PbError("invalid_path", "the root itself cannot be moved or removed", { path });
}

async function touch(
  client: WebClient,
  path: string,
  { create, signal }: { readonly create: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const there = await headOf(client, { path, signal }).then(
    () => true,
    (error: unknown) => {
      if (PbError.from(error).code !== "not_found" || !create) throw error;
      return false;
    },
  );
  if (there)
    throw new PbError("unsupported", "a web server has no way to set a file's time", {
      path,
      peer: client.peer,
    });
  (await client.send({ method: "PUT", path, body: new Uint8Array(), signal })).drop();
}

async function remove(
  client: WebClient,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly files: number; readonly directories: number }> {
  refuseAborted(signal);
  if (isRoot(path)) throw rootError(path);
  const entry = await entryAt(client, { path, signal });
  if (entry.kind === "directory")
    throw new PbError("unsupported", "a web server has no way to remove a folder", {
      path,
      peer: client.peer,
    });
  (await client.send({ method: "DELETE", path, signal })).drop();
  return { files: 1, directories: 0 };
}

function chunkAccess(client: WebClient): ChunkAccess {
  return {
    maxCalls: MAX_CALLS,
    ...(client.warm && { warm: client.warm }),
    open: (path, options) => openSource(client, path, options),
    ...(client.fetchSmall && {
      readWholeInto: (path, memory, options) => readWholeInto(client, { path, memory, ...options }),
    }),
    readWhole: (path, into, options) => readWhole(client, { path, into, ...options }),
    create: async (path, options) => createSink(client, path, options),
    async writeWhole(path, bytes, { signal }) {
      // Copied: a connection may hold it for longer than this call.
      (await client.send({ method: "PUT", path, body: Buffer.from(bytes), signal })).drop();
      return compare(client, { path, sent: bytes.length, signal });
    },
  };
}

/** What the server says it has of a PUT that it took. @throws PbError `verification_failed` */
async function compare(
  client: WebClient,
  { path, sent, signal }: { readonly path: string; readonly sent: number; readonly signal: AbortSignal },
): Promise<Confirmed> {
  const { size: there } = await headOf(client, { path, signal });
  if (there < 0) return { how: "nothing" };
  refuseOtherSize(client, path, { sent, there });
  return { how: "size" };
}

function createSink(
  client: WebClient,
  path: string,
  { size, resume, signal }: CreateChunksOptions,
): ChunkSink {
  refuseAborted(signal);
  client.urlOf(path);
  if (resume !== undefined)
    throw new PbError("corrupt_checkpoint", "an upload by PUT cannot be gone on with", {
      path,
      peer: client.peer,
    });
  const upload = startUpload(client, { path, size });
  let over = false;
  return {
    order: "ascending",
    blockBytes: 1,
    write: (_offset, parts, about) => upload.write(parts, about),
    ...(client.putStream && { writeFrom: upload.writeFrom }),
    state: async () => new Uint8Array(),
    async commit(about) {
      await upload.finish(about);
      over = true;
      return compare(client, { path, sent: upload.sent, signal: about });
    },
    async discard() {
      if (!over) await upload.stop();
      over = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (!over) await upload.stop();
    },
  };
}
