/** WebDAV: Nextcloud, ownCloud, nginx, Apache, rclone. Reads as any web server's; a new file has its name when it is whole. */
import type { EndpointConfig } from "../../model/endpoint.ts";
import type { Backend, Capabilities } from "../backend.ts";
import type { OpenEndpoint } from "../registry.ts";
import { MAX_CALLS, openWebClient } from "../web/client.ts";
import { listFolders } from "../web/listing.ts";
import { openSource, readWhole, readWholeInto } from "../web/source.ts";
import { makeFolder, removePath, renamePath, touchFile } from "./change.ts";
import { emptyFolders } from "./emptiness.ts";
import { entryAt, readFolder } from "./propfind.ts";
import { createWriter } from "./sink.ts";

function capabilities(keepsTimes: boolean): Capabilities {
  return {
    // RFC 4918 does not ask for it, though servers on a file system do it.
    atomicRename: false,
    links: "a web server shows what links lead to, and makes none",
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
  const folders = emptyFolders(client);
  return {
    scheme: "webdav",
    name: client.peer,
    capabilities: capabilities(keepsTimes),
    list: (path, options) => listFolders(client, path, { entryAt, readFolder, ...options }),
    stat: async (path, { signal }) => entryAt(client, { path, signal }),
    mkdir: async (path, { parents, signal }) => makeFolder(client, { path, parents, signal }),
    touch: async (path, options) => touchFile(client, { path, keepsTimes, ...options }),
    rename: (from, to, options) => renamePath(client, { from, to, folders, ...options }),
    remove: (path, options) => removePath(client, { path, folders, ...options }),
    native: {
      kind: "chunks",
      chunks: {
        maxCalls: MAX_CALLS,
        ...(client.warm && { warm: client.warm }),
        open: (path, options) => openSource(client, path, options),
        ...(client.fetchSmall && {
          readWholeInto: (path, memory, options) => readWholeInto(client, { path, memory, ...options }),
        }),
        readWhole: (path, into, options) => readWhole(client, { path, into, ...options }),
        ...writer,
      },
    },
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  };
};
