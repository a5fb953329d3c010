import { openRoot } from "../../native/root.ts";
import { chunkSuite } from "../conformance/chunks.ts";
import { folderPlace } from "../conformance/fixture.ts";
import type { FolderChunksOptions } from "./folder-chunks.ts";
import { folderEndpoint } from "./folder-endpoint.ts";

const fixture =
  (options: Omit<FolderChunksOptions, "root"> = {}) =>
  async () => {
    const place = await folderPlace();
    const fileRoot = await openRoot({ directory: place.root, resolve: "beneath", writable: true });
    const backend = folderEndpoint({ ...options, root: place.root, fileRoot });
    return {
      backend,
      place,
      async [Symbol.asyncDispose]() {
        await backend.close();
        await place[Symbol.asyncDispose]();
      },
    };
  };

chunkSuite("a folder", fixture());
chunkSuite("a folder that is read and written in order", fixture({ parallel: false, order: "ascending" }));
chunkSuite("a folder that takes blocks", fixture({ blockBytes: 1 << 20 }));
