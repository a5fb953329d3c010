import { type Entry, untold } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { joinPath } from "../../model/path.ts";
import type { KnownVersion } from "../chunks.ts";
import { listedName } from "../path.ts";
import { type Folder, inParallel } from "../walk.ts";
import type { WebClient } from "../web/client.ts";
import type { Head } from "../web/head.ts";
import type { Asked } from "../web/listing.ts";
import { componentsOf } from "../web/path.ts";
import { headOf } from "../web/version.ts";
import { entriesOf } from "./index-page.ts";

/** HEADs at once for one folder. */
const HEADS = 16;

/** @throws PbError `not_found`; `unsupported` for a file whose length the server does not say */
export async function entryAt(client: WebClient, { path, signal }: Asked): Promise<Entry> {
  if (componentsOf(path).length === 0) {
    await headOf(client, { path, folder: true, signal });
    return folderEntry("");
  }
  try {
    const head = await headOf(client, { path, signal });
    return head.folder ? folderEntry("") : fileEntry(client, { path, at: "", head });
  } catch (error) {
    if (PbError.from(error).code !== "not_found") throw error;
    // A folder at a server that does not send one on to the name with the slash.
    const folder = await headOf(client, { path, folder: true, signal }).catch(() => undefined);
    if (folder) return folderEntry("");
    throw error;
  }
}

/**
 * What the server's index of a folder names, each file asked for its length, time and version: but those of which the index tells the length and nobody
 * wants to know more. Their times are unknown (0), as an index has minutes, in who knows which zone.
 */
export async function readFolder(
  client: WebClient,
  at: string,
  // No file has less than no byte.
  { path, listedTimesUpTo = -1, namesOnly = false, signal }: Asked,
): Promise<Folder> {
  const inside = joinPath(path, at);
  const page = await client.send({ method: "GET", path: inside, folder: true, signal });
  const type = (page.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (type !== "text/html" && type !== "application/xhtml+xml" && type !== "application/json") {
    page.drop();
    throw new PbError("unsupported", `${client.peer}: the server gives no index of this folder`, {
      path: inside,
      peer: client.peer,
    });
  }
  const listed = entriesOf(await page.text(), { folder: page.url, type });
  const entries: Entry[] = [];
  const errors: PbError[] = [];
  await inParallel(listed, HEADS, async ({ name, folder, size = Number.POSITIVE_INFINITY }) => {
    try {
      const child = joinPath(at, listedName(name, inside));
      if (folder) entries.push(folderEntry(child));
      else if (namesOnly) entries.push(entryOf(child, { size: 0, mtimeNs: 0n }));
      else if (size <= listedTimesUpTo) entries.push(entryOf(child, { size, mtimeNs: 0n }));
      else entries.push(await look(client, { root: path, at: child, signal }));
    } catch (error) {
      const failure = PbError.from(error);
      if (failure.code === "aborted") throw failure;
      errors.push(failure);
    }
  });
  return { entries, errors };
}

async function look(
  client: WebClient,
  { root, at, signal }: { readonly root: string; readonly at: string; readonly signal: AbortSignal },
): Promise<Entry> {
  const path = joinPath(root, at);
  const head = await headOf(client, { path, signal });
  return head.folder ? folderEntry(at) : fileEntry(client, { path, at, head });
}

function fileEntry(
  client: WebClient,
  { path, at, head }: { readonly path: string; readonly at: string; readonly head: Head },
): Entry {
  const { size, mtimeNs, version } = head;
  if (size < 0)
    throw new PbError("unsupported", `${client.peer}: the server does not say how long this file is`, {
      path,
      peer: client.peer,
    });
  return entryOf(at, { size, mtimeNs, ...(version === undefined ? {} : { version }) });
}

function entryOf(path: string, known: KnownVersion): Entry {
  return { path, kind: "file", ...untold("file"), ...known };
}

function folderEntry(path: string): Entry {
  return { path, kind: "directory", size: 0, mtimeNs: 0n, ...untold("directory") };
}
