import type { ChunkAccess } from "../chunks.ts";
import type { Ground } from "./ground.ts";
import { makeLink } from "./links.ts";
import { openSink, setFolder, writeWhole } from "./sink.ts";
import { openSource, readWhole } from "./source.ts";

/** Calls at once over all connections; a call of 256 KiB to 1 MiB is one to five requests. */
const MAX_CALLS = 64;

export function createChunks(ground: Ground): ChunkAccess {
  return {
    maxCalls: MAX_CALLS,
    open: (path, options) => openSource(ground, path, options),
    readWhole: (path, into, options) => readWhole(ground, path, { ...options, into }),
    create: (path, options) => openSink(ground, path, options),
    writeWhole: (path, bytes, options) => writeWhole(ground, path, { ...options, bytes }),
    setFolder: (path, options) => setFolder(ground, path, options),
    link: (path, options) => makeLink(ground, path, options),
  };
}
