/** `Backend.list` of a web server, where a folder is read with one request and nothing is a link. */
import type { Entry } from "../../model/entry.ts";
import type { ListBatch, ListOptions } from "../backend.ts";
import { either, refuseAborted } from "../signals.ts";
import { type Folder, walkFolders } from "../walk.ts";
import type { WebClient } from "./client.ts";

export interface Asked extends Pick<ListOptions, "listedTimesUpTo" | "namesOnly"> {
  readonly path: string;
  readonly signal: AbortSignal;
}

/** How one protocol looks. */
export interface Reader {
  /** With the path "". @throws PbError `not_found` */
  entryAt(client: WebClient, asked: Asked): Promise<Entry>;
  /** @param at relative to what is listed, which is at `asked.path` */
  readFolder(client: WebClient, at: string, asked: Asked): Promise<Folder>;
}

export async function* listFolders(
  client: WebClient,
  path: string,
  { entryAt, readFolder, recursive, maxDepth = 0, signal: caller, ...options }: Reader & ListOptions,
): AsyncGenerator<ListBatch, void, void> {
  using signals = either(caller, client.closing);
  const { signal } = signals;
  refuseAborted(signal);
  const root = await entryAt(client, { path, signal });
  if (root.kind !== "directory") {
    yield { entries: [root], errors: [] };
    return;
  }
  const read = (at: string) => readFolder(client, at, { ...options, path, signal });
  for await (const batch of walkFolders({ read, levels: recursive ? maxDepth : 1 })) {
    refuseAborted(signal);
    yield batch;
  }
}
