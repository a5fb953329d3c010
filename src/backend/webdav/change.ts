/** mkdir, touch, rename, remove, by MKCOL, PUT and PROPPATCH, MOVE, DELETE (RFC 4918). */
import type { Entry } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { dirName } from "../../model/path.ts";
import type { RemoveResult } from "../backend.ts";
import { refuseAborted } from "../signals.ts";
import { walkFolders } from "../walk.ts";
import type { WebClient } from "../web/client.ts";
import type { Asked } from "../web/listing.ts";
import { componentsOf } from "../web/path.ts";
import type { EmptyFolders } from "./emptiness.ts";
import { entryAt, readFolder } from "./propfind.ts";
import { timeHeaders } from "./times.ts";

/** Undefined when nothing is there. */
async function find(client: WebClient, asked: Asked): Promise<Entry | undefined> {
  try {
    return await entryAt(client, asked);
  } catch (error) {
    if (PbError.from(error).code === "not_found") return undefined;
    throw error;
  }
}

/** True when it was not there. */
export async function makeFolder(
  client: WebClient,
  { path, parents, signal }: Asked & { readonly parents: boolean },
): Promise<boolean> {
  const there = await find(client, { path, signal });
  if (there?.kind === "directory" && parents) return false;
  if (there) throw new PbError("exists", "something has this name already", { path, peer: client.peer });
  if (!parents) await needParent(client, { path, signal });
  else if (componentsOf(path).length > 1) await makeFolderAbove(client, { path, signal });
  return makeOne(client, { path, signal });
}

const above = (path: string) => dirName(componentsOf(path).join("/"));

async function makeFolderAbove(client: WebClient, { path, signal }: Asked): Promise<void> {
  try {
    await makeFolder(client, { path: above(path), parents: true, signal });
  } catch (error) {
    const failure = PbError.from(error);
    if (failure.code !== "exists" && failure.code !== "not_a_directory") throw failure;
    throw new PbError("not_a_directory", "a folder on the way there is a file", {
      path,
      peer: client.peer,
      cause: error,
    });
  }
}

/** False when somebody else made it meanwhile. */
async function makeOne(client: WebClient, { path, signal }: Asked): Promise<boolean> {
  const answer = await client.send({ method: "MKCOL", path, folder: true, allow: [405], signal });
  answer.drop();
  return answer.status !== 405;
}

async function needParent(client: WebClient, { path, signal }: Asked): Promise<void> {
  const folder = above(path);
  const parent = await find(client, { path: folder, signal });
  if (parent?.kind === "directory") return;
  if (parent || (folder !== "" && (await isBelowFile(client, { path: folder, signal }))))
    throw new PbError("not_a_directory", "a folder on the way there is a file", { path, peer: client.peer });
  throw notThere(client, path);
}

async function isBelowFile(client: WebClient, { path, signal }: Asked): Promise<boolean> {
  for (let folder = above(path); folder !== ""; folder = above(folder)) {
    const there = await find(client, { path: folder, signal });
    if (there) return there.kind === "file";
  }
  return false;
}

function notThere(client: WebClient, path: string): PbError {
  return new PbError("not_found", "there is nothing of this name", { path, peer: client.peer });
}

export interface TouchOptions extends Asked {
  readonly mtimeNs?: bigint;
  readonly create: boolean;
  readonly keepsTimes: boolean;
}

export async function touchFile(client: WebClient, options: TouchOptions): Promise<void> {
  const { path, create, keepsTimes, signal } = options;
  const mtimeNs = options.mtimeNs ?? BigInt(Date.now()) * 1_000_000n;
  const there = await find(client, { path, signal });
  if (there) return setTime(client, { path, mtimeNs, signal });
  if (!create) throw notThere(client, path);
  await needParent(client, { path, signal });
  const headers = keepsTimes ? timeHeaders(mtimeNs) : {};
  (await client.send({ method: "PUT", path, headers, body: new Uint8Array(), signal })).drop();
}

/** As Nextcloud and ownCloud take it; others say what they do not. */
async function setTime(
  client: WebClient,
  { path, mtimeNs, signal }: Asked & { readonly mtimeNs: bigint },
): Promise<void> {
  const seconds = mtimeNs / 1_000_000_000n;
  const body = `<?xml version="1.0"?><propertyupdate xmlns="DAV:"><set><prop><lastmodified>${seconds}</lastmodified></prop></set></propertyupdate>`;
  const answer = await client.send({
    method: "PROPPATCH",
    path,
    headers: { "content-type": "application/xml; charset=utf-8" },
    body,
    allow: [400, 405, 501],
    signal,
  });
  const text = await answer.text();
  if (answer.status === 207 && / 200( |<)/.test(text)) return;
  throw new PbError("unsupported", `${client.peer}: this server has no way to set a file's time`, {
    path,
    peer: client.peer,
  });
}

export async function renamePath(
  client: WebClient,
  {
    from,
    to,
    replace,
    folders,
    signal,
  }: {
    readonly from: string;
    readonly to: string;
    readonly replace: boolean;
    readonly folders: EmptyFolders;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  refuseAborted(signal);
  notRoot(from);
  notRoot(to);
  client.urlOf(to);
  const moved = await entryAt(client, { path: from, signal });
  const folder = moved.kind === "directory";
  const onto = await mayBecome(client, { path: to, replace, folder, signal });
  if (componentsOf(from).join("/") === componentsOf(to).join("/")) return;
  if (onto && folder) await folders.need({ path: to, signal });
  else if (!onto) await needParent(client, { path: to, signal });
  const answer = await client.send({
    method: "MOVE",
    path: from,
    folder,
    headers: { destination: client.urlOf(to, folder).href, overwrite: replace ? "T" : "F" },
    allow: [412],
    signal,
  });
  answer.drop();
  if (answer.status === 412)
    throw new PbError("exists", "something has this name already", { path: to, peer: client.peer });
}

/** True when something is there, which may be replaced; a folder when it is empty. */
async function mayBecome(
  client: WebClient,
  { path, replace, folder, signal }: Asked & { readonly replace: boolean; readonly folder: boolean },
): Promise<boolean> {
  const there = await find(client, { path, signal });
  if (!there) return false;
  const refuse = (code: "exists" | "is_a_directory" | "not_a_directory", words: string) =>
    new PbError(code, words, { path, peer: client.peer });
  if (!replace) throw refuse("exists", "something has this name already");
  if (there.kind === "directory" && !folder) throw refuse("is_a_directory", "a folder has this name");
  if (there.kind === "file" && folder) throw refuse("not_a_directory", "a file has this name");
  return true;
}

/** @throws PbError `invalid_path` for the root */
function notRoot(path: string): void {
  if (componentsOf(path).length > 0) return;
  throw new PbError("invalid_path", "the root itself cannot be moved or removed", { path });
}

export async function removePath(
  client: WebClient,
  {
    path,
    recursive,
    folders,
    signal,
  }: Asked & { readonly recursive: boolean; readonly folders: EmptyFolders },
): Promise<RemoveResult> {
  refuseAborted(signal);
  notRoot(path);
  const there = await entryAt(client, { path, signal });
  const folder = there.kind === "directory";
  if (folder && !recursive) {
    await folders.need({ path, signal }).catch((cause: unknown) => {
      const error = PbError.from(cause);
      if (error.code !== "not_empty") throw error;
      throw error.about({ hint: "remove what is in it too: --recursive" });
    });
  }
  const alone = folder ? { files: 0, directories: 1 } : { files: 1, directories: 0 };
  const result = folder && recursive ? await count(client, { path, signal }) : alone;
  const answer = await client.send({ method: "DELETE", path, folder, signal });
  answer.drop();
  // What could not be removed is listed (RFC 4918 section 9.6.1).
  if (answer.status !== 207) return result;
  throw new PbError("partial", `${client.peer}: not all of it could be removed`, { path, peer: client.peer });
}

async function count(client: WebClient, { path, signal }: Asked): Promise<RemoveResult> {
  let [files, directories] = [0, 1];
  for await (const { entries } of walkFolders({
    read: (at) => readFolder(client, at, { path, signal }),
    levels: 0,
  })) {
    for (const { kind } of entries) {
      if (kind === "directory") directories += 1;
      else files += 1;
    }
  }
  return { files, directories };
}
