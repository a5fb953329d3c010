/** `walkFolders` for an endpoint that has links: they are followed, not out of the root and not round in circles; hostile names are refused. */

import type { Entry } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { dirName, joinPath } from "../../model/path.ts";
import type { ListBatch, ListOptions } from "../backend.ts";
import { listedName } from "../path.ts";
import { refuseAborted } from "../signals.ts";
import { type Folder, walkFolders } from "../walk.ts";

export interface FolderReader {
  /**
   * What one folder holds, in any order: `Entry.path` is the name as the server gave it, unchecked; links as links with their target.
   * "." and ".." may be among them.
   */
  folder(path: string, signal: AbortSignal): Promise<readonly Entry[]>;
  /** @throws PbError `not_found`, `path_escapes` */
  stat(path: string, options: { readonly follow: boolean; readonly signal: AbortSignal }): Promise<Entry>;
  /** Where a path really is, links resolved: two paths to one folder give the same. Asked for only where links are followed. */
  realPath(path: string, signal: AbortSignal): Promise<string>;
}

export async function* walkLinked(
  reader: FolderReader,
  top: string,
  options: ListOptions,
): AsyncGenerator<ListBatch, void, void> {
  const { follow, recursive, maxDepth = 0, signal } = options;
  refuseAborted(signal);
  const start = await topEntry(reader, top, options);
  if (start !== "folder") {
    yield { entries: [start], errors: [] };
    return;
  }
  const loops = createLoops(reader, top, signal);
  const read = async (at: string): Promise<Folder> => {
    refuseAborted(signal);
    if (follow) await loops.refuse(at);
    return readFolder(reader, { top, at, follow, signal });
  };
  for await (const batch of walkFolders({ read, levels: recursive ? maxDepth : 1 })) {
    yield batch;
    refuseAborted(signal);
  }
}

/** Where the folders on the way down really are. */
function createLoops(reader: FolderReader, top: string, signal: AbortSignal) {
  const real = new Map<string, string>();
  return {
    /** @throws PbError when `at` is the same folder as one above it */
    async refuse(at: string): Promise<void> {
      const path = joinPath(top, at);
      const where = await reader.realPath(path, signal);
      for (let above = at; above !== ""; ) {
        above = dirName(above);
        if (real.get(above) === where)
          throw new PbError("io_error", "a link leads back to a folder above it", { path });
      }
      real.set(at, where);
    },
  };
}

/** "folder": list what is in it. Else the one entry that there is. */
async function topEntry(reader: FolderReader, top: string, options: ListOptions): Promise<Entry | "folder"> {
  const { signal } = options;
  const entry = await reader.stat(top, { follow: false, signal });
  if (entry.kind === "directory") return "folder";
  if (entry.kind !== "symlink") return { ...entry, path: "" };
  try {
    const target = await reader.stat(top, { follow: true, signal });
    if (target.kind === "directory") return "folder";
    return { ...(options.follow ? target : entry), path: "" };
  } catch (error) {
    // A link to nothing is a link all the same.
    if (PbError.from(error).code === "not_found") return { ...entry, path: "" };
    throw error;
  }
}

interface ReadFolder {
  readonly top: string;
  readonly at: string;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

async function readFolder(reader: FolderReader, { top, at, follow, signal }: ReadFolder): Promise<Folder> {
  const path = joinPath(top, at);
  const errors: PbError[] = [];
  const seen = new Map<string, Entry>();
  for (const entry of await reader.folder(path, signal)) {
    if (entry.path === "." || entry.path === "..") continue;
    try {
      // A name that is there twice cannot be: the last one counts, once.
      seen.set(listedName(entry.path, path), entry);
    } catch (error) {
      errors.push(PbError.from(error));
    }
  }
  const all = [...seen.values()];
  const listed = follow ? await followed(reader, path, { entries: all, errors, signal }) : all;
  return { entries: listed.map((entry) => ({ ...entry, path: joinPath(at, entry.path) })), errors };
}

/** Links become what they point to; what leads nowhere stays a link, what leads out is an error. */
async function followed(
  reader: FolderReader,
  path: string,
  { entries, errors, signal }: { entries: readonly Entry[]; errors: PbError[]; signal: AbortSignal },
): Promise<Entry[]> {
  const targets = entries.map(async (entry) => {
    if (entry.kind !== "symlink") return entry;
    try {
      return {
        ...(await reader.stat(joinPath(path, entry.path), { follow: true, signal })),
        path: entry.path,
      };
    } catch (caught) {
      const error = PbError.from(caught);
      if (error.code === "aborted") throw error;
      if (error.code === "not_found") return entry;
      errors.push(error);
      return undefined;
    }
  });
  return (await Promise.all(targets)).filter((entry) => entry !== undefined);
}
