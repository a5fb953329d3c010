/** WebDAV: Nextcloud, ownCloud, nginx, Apache, rclone. Reads as any web server's; a new file has its name when it is whole. */
import type { EndpointConfig } from "../../model/endpoint.ts";
import type { Backend, Capabilities, ListBatch, ListOptions } from "../backend.ts";
import type { OpenEndpoint } from "../registry.ts";
import { either, refuseAborted } from "../signals.ts";
import { walkFolders } from "../walk.ts";
import { MAX_CALLS, openWebClient, type WebClient } from "../web/client.ts";
import { openSource, readWhole } from "../web/source.ts";
import { makeFolder, removePath, renamePath, touchFile } from "./change.ts";
import { entryAt, readFolder } from "./propfind.ts";
import { createWriter } from "./sink.ts";

function capabilities(keepsTimes: boolean): Capabilities {
  return {
    // RFC 4918 does not ask for it, though servers on a file system do it.
    atomicRename: false,
    links: false,
    permissions: false,
    owners: false,
    mtimeResolutionNs: 1_000_000_000,
    serverSideCopy: true,
    writable: true,
    parallelRead: true,
    parallelWrite: "a PUT is one stream",
    resumeWrite: "a PUT that broke off begins anew",
    atomicReplace: true,
    hashes: "few servers send a digest",
    setMtime: keepsTimes
      ? true
      : "this server may not keep a file's time (keeps_times in the remote says that it does)",
    append: "WebDAV has no way to make a file longer",
    folders: true,
    watch: "WebDAV tells nobody of changes",
  };
}

export const openWebdav: OpenEndpoint = async (config: EndpointConfig, tools): Promise<Backend> => {
  const client = await openWebClient(config, tools);
  const keepsTimes = config.settings.keeps_times === true;
  const writer = createWriter(client, { keepsTimes });
  return {
    scheme: "webdav",
    name: client.peer,
    capabilities: capabilities(keepsTimes),
    list: (path, options) => list(client, path, options),
    stat: async (path, { signal }) => entryAt(client, { path, signal }),
    mkdir: async (path, { parents, signal }) => makeFolder(client, { path, parents, signal }),
    touch: async (path, options) => touchFile(client, { path, keepsTimes, ...options }),
    rename: (from, to, options) => renamePath(client, { from, to, ...options }),
    remove: (path, options) => removePath(client, { path, ...options }),
    native: {
      kind: "chunks",
      chunks: {
        maxCalls: MAX_CALLS,
        open: (path, options) => openSource(client, path, options),
        readWhole: (path, into, options) => readWhole(client, { path, into, ...options }),
        ...writer,
      },
    },
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  };
};

async function* list(
  client: WebClient,
  path: string,
  options: ListOptions,
): AsyncGenerator<ListBatch, void, void> {
  using signals = either(options.signal, client.closing);
  const { signal } = signals;
  refuseAborted(signal);
  const root = await entryAt(client, { path, signal });
  if (root.kind !== "directory") {
    yield { entries: [root], errors: [] };
    return;
  }
  const levels = options.recursive ? (options.maxDepth ?? 0) : 1;
  for await (const batch of walkFolders({ read: (at) => readFolder(client, at, { path, signal }), levels })) {
    refuseAborted(signal);
    yield batch;
  }
}
