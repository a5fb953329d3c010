/** The calls of the contract that are not bytes: stat, mkdir, touch, rename, remove, and what a listing needs. */

import type { Entry } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { dirName, joinPath, pathBytes, pathText } from "../../model/path.ts";
import type { Backend, RemoveResult } from "../backend.ts";
import { componentsBelow, listedName } from "../path.ts";
import { refuseAborted } from "../signals.ts";
import { inParallel } from "../walk.ts";
import type { FolderReader } from "../wrap/linked-walk.ts";
import * as calls from "./calls.ts";
import { entryOf, kindOf, secondsOrRefuse } from "./entries.ts";
import { isFailure, isMissing } from "./errors.ts";
import { type Call, type Ground, onGround } from "./ground.ts";
import { type Attributes, OPEN } from "./packets.ts";
import { BOUNDS } from "./resolve.ts";

type Files = Pick<Backend, "stat" | "mkdir" | "touch" | "rename" | "remove">;

/** Removals of one folder that are out at once. */
const REMOVALS = 32;

export function createFiles(ground: Ground): Files & { readonly reader: FolderReader } {
  const on = <T>(path: string, signal: AbortSignal, run: (call: Call) => Promise<T>) =>
    onGround(ground, { path, signal }, run);

  const files: Files = {
    stat: (path, { follow, signal }) => on(path, signal, (call) => statOf(call, path, follow)),
    mkdir: (path, { parents, mode, signal }) =>
      on(path, signal, async (call) => {
        const made = await makeFolder(call, { path, parents });
        if (made && mode !== undefined)
          await calls.setstat(call.session, await call.resolve(path, "follow"), { mode }, call.signal);
        return made;
      }),
    touch: (path, { mtimeNs, create, signal }) =>
      on(path, signal, (call) =>
        touch(call, { path, create, ...(mtimeNs === undefined ? {} : { mtimeNs }) }),
      ),
    rename: (from, to, { replace, signal }) =>
      on(from, signal, async (call) => {
        refuseRoot(from);
        refuseRoot(to);
        await rename(call, { from, to, replace, ground });
        ground.resolver.forget();
      }),
    remove: (path, { recursive, signal }) =>
      on(path, signal, async (call) => {
        refuseRoot(path);
        const removed = await remove(call, await call.resolve(path, "keep"), { path, recursive });
        ground.resolver.forget();
        return removed;
      }),
  };

  const reader: FolderReader = {
    stat: (path, { follow, signal }) => files.stat(path, { follow, signal }),
    folder: (path, signal) => on(path, signal, (call) => folderOf(call, path)),
    realPath: (path, signal) =>
      on(path, signal, async (call) => {
        const where = await call.resolve(path, "follow");
        return pathText(await calls.realPath(call.session, where, call.signal));
      }),
  };
  return { ...files, reader };
}

async function statOf({ session, signal, resolve }: Call, path: string, follow: boolean): Promise<Entry> {
  const where = await resolve(path, follow ? "follow" : "keep");
  const attributes = await (follow ? calls.stat : calls.lstat)(session, where, signal);
  if (kindOf(attributes) !== "symlink") return entryOf("", attributes);
  return entryOf("", attributes, pathText(await calls.readLink(session, where, signal)));
}

async function folderOf({ session, signal, resolve }: Call, path: string): Promise<Entry[]> {
  const where = await resolve(path, "follow");
  const names = await calls.readFolder(session, where, signal);
  const entries = names.map(async ({ name, attributes }) => {
    const text = pathText(name);
    if (kindOf(attributes) !== "symlink") return entryOf(text, attributes);
    // Without its target where the name is none: it is refused by who reads the listing.
    const isName = !text.includes("/") && !text.includes("\0");
    const target = isName ? await linkTarget({ session, signal, link: below(where, name) }) : undefined;
    return entryOf(text, attributes, target);
  });
  return Promise.all(entries);
}

/** A link that has just gone has an empty target. */
async function linkTarget({
  session,
  signal,
  link,
}: Pick<Call, "session" | "signal"> & { link: Uint8Array }) {
  try {
    return pathText(await calls.readLink(session, link, signal));
  } catch (error) {
    if (isMissing(error)) return "";
    throw error;
  }
}

interface MakeFolder {
  readonly path: string;
  readonly parents: boolean;
}

/** True when it was not there. */
async function makeFolder(call: Call, { path, parents }: MakeFolder): Promise<boolean> {
  if (parents) return makeFolders(call, path);
  const where = await call.resolve(path, "follow");
  try {
    await calls.mkdir(call.session, where, call.signal);
    return true;
  } catch (error) {
    if (await found(call, where)) throw taken(path);
    const above = await found(call, pathBytes(dirName(pathText(where))));
    if (above && kindOf(above) === "file") throw notAFolder(path);
    throw error;
  }
}

/** Looks at the whole way at once, then makes what is missing of it from the top. */
export async function makeFolders(call: Call, path: string): Promise<boolean> {
  const { session, signal } = call;
  const where = pathText(await call.resolve(path, "follow"));
  const names = where.split("/").filter((name) => name !== "");
  const ways = names.map((_, at) => pathBytes(`/${names.slice(0, at + 1).join("/")}`));
  const there = await Promise.all(ways.map((way) => existing(call, way)));
  const first = there.findIndex(
    (attributes) => attributes === undefined || kindOf(attributes) !== "directory",
  );
  if (first < 0) return false;
  if (there[first]) throw first === ways.length - 1 ? taken(path) : notAFolder(path);
  for (const [at, way] of ways.entries()) {
    if (at < first) continue;
    try {
      await calls.mkdir(session, way, signal);
    } catch (error) {
      // Another call may make the same folder at this moment.
      const now = await existing(call, way);
      if (now === undefined || kindOf(now) !== "directory") throw error;
      if (at === ways.length - 1) return false;
    }
  }
  return true;
}

/** What is there, links followed; undefined: nothing. */
async function existing({ session, signal }: Call, where: Uint8Array): Promise<Attributes | undefined> {
  try {
    return await calls.stat(session, where, signal);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function touch(
  { session, signal, resolve }: Call,
  { path, mtimeNs, create }: { readonly path: string; readonly mtimeNs?: bigint; readonly create: boolean },
): Promise<void> {
  const mtime = mtimeNs === undefined ? Math.floor(Date.now() / 1_000) : secondsOrRefuse(mtimeNs, path);
  const where = await resolve(path, "follow");
  try {
    await calls.setstat(session, where, { mtime }, signal);
    return;
  } catch (error) {
    if (!create || !isMissing(error)) throw error;
  }
  const handle = await calls.open(session, where, { flags: OPEN.write | OPEN.create, signal });
  try {
    await calls.fsetstat(session, handle, { mtime }, signal);
  } finally {
    await calls.close(session, handle);
  }
}

interface Rename {
  readonly from: string;
  readonly to: string;
  readonly replace: boolean;
  readonly ground: Ground;
}

async function rename(call: Call, { from, to, replace, ground }: Rename): Promise<void> {
  const { session, signal, resolve } = call;
  const source = await resolve(from, "keep");
  const names = { from: source, to: await resolve(to, "keep"), signal };
  try {
    if (replace) await replacing(call, { ...names, replaces: ground.replaces });
    else await calls.rename(session, names);
  } catch (error) {
    if (!isFailure(error)) throw error;
    if ((await found(call, source)) === undefined) throw missing(from);
    const there = await found(call, names.to);
    if (there && !replace) throw taken(to);
    if (there && kindOf(there) === "directory")
      throw new PbError("exists", "a folder with content, or for a file, is not replaced", { path: to });
    throw error;
  }
}

/** Atomic where the server can. */
export async function replacing(
  { session }: Pick<Call, "session">,
  {
    from,
    to,
    signal,
    replaces,
  }: {
    readonly from: Uint8Array;
    readonly to: Uint8Array;
    readonly signal: AbortSignal;
    readonly replaces: boolean;
  },
): Promise<void> {
  if (replaces) return calls.posixRename(session, { from, to, signal });
  try {
    return await calls.rename(session, { from, to, signal });
  } catch (error) {
    if (!isFailure(error)) throw error;
  }
  await calls.removeFile(session, to, signal);
  return calls.rename(session, { from, to, signal });
}

async function remove(
  call: Call,
  where: Uint8Array,
  { path, recursive }: { readonly path: string; readonly recursive: boolean },
): Promise<RemoveResult> {
  const { session, signal } = call;
  const attributes = await calls.lstat(session, where, signal);
  if (kindOf(attributes) !== "directory") {
    await calls.removeFile(session, where, signal);
    return { files: 1, directories: 0 };
  }
  const inside = recursive ? await empty(call, where, path) : { files: 0, directories: 0 };
  try {
    await calls.rmdir(session, where, signal);
  } catch (error) {
    if (isFailure(error))
      throw new PbError("not_empty", "the folder is not empty", {
        path,
        hint: "remove what is in it too: --recursive",
        cause: error,
      });
    throw error;
  }
  return { files: inside.files, directories: inside.directories + 1 };
}

/** Removes what a folder holds; links as links. */
async function empty(call: Call, where: Uint8Array, path: string): Promise<RemoveResult> {
  const listed = await calls.readFolder(call.session, where, call.signal);
  const names = listed.filter(({ name }) => !isDots(pathText(name)));
  let [files, directories] = [0, 0];
  await inParallel(names, REMOVALS, async ({ name, attributes }) => {
    refuseAborted(call.signal);
    const text = listedName(pathText(name), path);
    const child = below(where, name);
    if (kindOf(attributes) !== "directory") {
      await calls.removeFile(call.session, child, call.signal);
      files += 1;
      return;
    }
    const inside = await remove(call, child, { path: joinPath(path, text), recursive: true });
    files += inside.files;
    directories += inside.directories;
  });
  return { files, directories };
}

/** What is there, a link as a link; undefined: nothing. */
export async function found(
  { session, signal }: Pick<Call, "session" | "signal">,
  where: Uint8Array,
): Promise<Attributes | undefined> {
  try {
    return await calls.lstat(session, where, signal);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function below(folder: Uint8Array, name: Uint8Array): Uint8Array {
  const slash = folder.at(-1) === SLASH ? [] : [pathBytes("/")];
  return Buffer.concat([folder, ...slash, name]);
}

const SLASH = 0x2f;
const isDots = (name: string) => name === "." || name === "..";
const taken = (path: string) => new PbError("exists", "it is there already", { path });
const notAFolder = (path: string) => new PbError("not_a_directory", "a file is in the way", { path });
const missing = (path: string) => new PbError("not_found", "it is not there", { path });

function refuseRoot(path: string): void {
  if (componentsBelow(path, BOUNDS).length === 0)
    throw new PbError("invalid_path", "the root itself can be neither renamed nor removed", { path });
}
