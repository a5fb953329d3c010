/** The calls of the contract that are not bytes, and what a listing needs. */

import type { Entry } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { dirName, joinPath } from "../../model/path.ts";
import type { Backend, RemoveResult } from "../backend.ts";
import { componentsBelow, listedName } from "../path.ts";
import { refuseAborted } from "../signals.ts";
import type { FolderReader } from "../wrap/linked-walk.ts";
import * as calls from "./calls.ts";
import type { FtpConnection } from "./connection.ts";
import { BOUNDS, type Call, type Ground, onGround, wirePath } from "./ground.ts";

type Files = Pick<Backend, "stat" | "mkdir" | "touch" | "rename" | "remove">;

export function createFiles(ground: Ground): Files & { readonly reader: FolderReader } {
  /** Paths are looked at before a connection is waited for. */
  const on = <T>(path: string, signal: AbortSignal, run: (call: Call, where: string) => Promise<T>) =>
    onGround(ground, { path, signal }, (call) => run(call, wirePath(ground, path)));

  const files: Files = {
    stat: (path, { signal }) =>
      on(path, signal, async ({ connection }, where) => {
        const entry = await calls.statPath(connection, where);
        if (entry === undefined) throw missing(path);
        return entry;
      }),
    mkdir: (path, { parents, signal }) =>
      on(path, signal, ({ connection }) => makeFolder({ ground, connection }, path, parents)),
    touch: (path, { mtimeNs, create, signal }) =>
      on(path, signal, async ({ connection }, where) => {
        if ((await calls.statPath(connection, where)) === undefined) {
          if (!create) throw missing(path);
          await appendNothing({ ground, connection }, path);
          if (mtimeNs === undefined) return;
        }
        if (await calls.setTime(connection, where, mtimeNs ?? BigInt(Date.now()) * 1_000_000n)) return;
        ground.times.refused = true;
        throw new PbError("unsupported", "this server sets no times (neither MFMT nor MDTM)", { path });
      }),
    rename: (from, to, { replace, signal }) =>
      on(from, signal, async ({ connection }, where) => {
        refuseRoot(from);
        refuseRoot(to);
        await rename({ ground, connection }, { from, to, where, replace });
      }),
    remove: (path, { recursive, signal }) =>
      on(path, signal, async (call, where) => {
        refuseRoot(path);
        return remove(call, where, { path, recursive });
      }),
  };

  const reader: FolderReader = {
    stat: (path, options) => files.stat(path, options),
    folder: (path, signal) =>
      on(path, signal, ({ connection }, where) => folderOf(connection, { where, path })),
    realPath: (path, signal) =>
      on(path, signal, async ({ control }, where) => {
        await control.send(`CWD ${where}`);
        return /"(.*)"/s.exec((await control.send("PWD")).lines[0] ?? "")?.[1] ?? where;
      }),
  };
  return { ...files, reader };
}

interface On {
  readonly ground: Ground;
  readonly connection: FtpConnection;
}

async function folderOf(
  connection: FtpConnection,
  { where, path }: { readonly where: string; readonly path: string },
): Promise<Entry[]> {
  const found = await orMissing(connection, { where, path, run: () => calls.readFolder(connection, where) });
  // An entry without a name is refused by who reads the listing, and so reported.
  const unread = Array.from({ length: Math.min(found.unread, 1) }, () => ({ ...NOTHING, path: "" }));
  return [...found.entries, ...unread];
}

const NOTHING: Entry = { path: "", kind: "other", size: 0, mtimeNs: 0n, mode: 0, uid: 0, gid: 0 };

/** "No" may mean that it is not there. */
async function orMissing<T>(
  connection: FtpConnection,
  { where, path, run }: { readonly where: string; readonly path: string; readonly run: () => Promise<T> },
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (calls.isRefusal(error) && (await calls.statPath(connection, where)) === undefined)
      throw missing(path);
    throw error;
  }
}

/** True when it was not there. */
async function makeFolder(on: On, path: string, parents: boolean): Promise<boolean> {
  if (componentsBelow(path, BOUNDS).length === 0) {
    if (parents) return false;
    throw taken(path);
  }
  if (parents && (await makeFolders(on, parentOf(path))) === "in the way") throw inTheWay(path);
  const where = wirePath(on.ground, path);
  try {
    await on.connection.control.send(`MKD ${where}`);
    return true;
  } catch (error) {
    if (!calls.isRefusal(error)) throw error;
    const there = await calls.statPath(on.connection, where);
    if (there?.kind === "directory" && parents) return false;
    if (there) throw taken(path);
    const parent = parentOf(path);
    const above = await calls.statPath(on.connection, wirePath(on.ground, parent));
    if (above === undefined) throw missing(parent);
    // Where the folder above is there, the server does not want this one.
    throw above.kind === "directory" ? error : inTheWay(path);
  }
}

/** All of the way, from the top: one look at all of it, and all that is missing, without waiting in between. */
async function makeFolders({ ground, connection }: On, path: string): Promise<"there" | "in the way"> {
  const { control } = connection;
  const names = componentsBelow(path, BOUNDS);
  const ways = names.map((_, at) => wirePath(ground, names.slice(0, at + 1).join("/")));
  const there = await Promise.all(ways.map((way) => calls.unlessRefused(control.send(`CWD ${way}`))));
  const first = there.indexOf(undefined);
  if (first < 0) return "there";
  await Promise.all(ways.slice(first).map((way) => calls.unlessRefused(control.send(`MKD ${way}`))));
  const last = await calls.statPath(connection, ways.at(-1) ?? "");
  if (last) return last.kind === "directory" ? "there" : "in the way";
  const blocked = await Promise.all(ways.slice(first).map((way) => calls.versionOf(connection, way)));
  return blocked.some(([size]) => size !== undefined) ? "in the way" : "there";
}

/** For a file that is to come. Another call may have made them a moment ago. @throws PbError `not_a_directory` */
export async function makeParents(on: On, path: string): Promise<void> {
  if ((await makeFolders(on, parentOf(path))) === "in the way") throw inTheWay(path);
}

const parentOf = (path: string) => dirName(componentsBelow(path, BOUNDS).join("/"));

/** APPE makes a file and, unlike STOR, never empties one that has come meanwhile. */
async function appendNothing({ ground, connection }: On, path: string): Promise<void> {
  const where = wirePath(ground, path);
  const above = parentOf(path);
  try {
    const { data, final } = await connection.transfer(`APPE ${where}`);
    data.end();
    await final;
  } catch (error) {
    if (!calls.isRefusal(error)) throw error;
    if ((await calls.statPath(connection, wirePath(ground, above))) === undefined) throw missing(path);
    throw error;
  }
}

interface Rename {
  readonly from: string;
  readonly to: string;
  readonly where: string;
  readonly replace: boolean;
}

async function rename({ ground, connection }: On, { from, to, where, replace }: Rename): Promise<void> {
  const target = wirePath(ground, to);
  const there = await calls.statPath(connection, target);
  if (there && !replace) {
    if ((await calls.statPath(connection, where)) === undefined) throw missing(from);
    throw taken(to);
  }
  try {
    await replacing(connection, {
      from: where,
      to: target,
      isThere: there !== undefined && there.kind !== "directory",
    });
  } catch (error) {
    if (!calls.isRefusal(error)) throw error;
    if ((await calls.statPath(connection, where)) === undefined) throw missing(from);
    if ((await calls.statPath(connection, wirePath(ground, parentOf(to)))) === undefined) throw missing(to);
    throw error;
  }
}

/** Servers differ in whether a name that is taken may be renamed to: where not, what has it goes first. */
export async function replacing(
  connection: FtpConnection,
  { from, to, isThere }: { readonly from: string; readonly to: string; readonly isThere: boolean },
): Promise<void> {
  try {
    await calls.renamePath(connection, from, to);
  } catch (error) {
    if (!isThere || !calls.isRefusal(error)) throw error;
    // What is to come must be there before what is there goes.
    if ((await calls.statPath(connection, from)) === undefined) throw error;
    await connection.control.send(`DELE ${to}`);
    await calls.renamePath(connection, from, to);
  }
}

async function remove(
  call: Call,
  where: string,
  { path, recursive }: { readonly path: string; readonly recursive: boolean },
): Promise<RemoveResult> {
  const { connection, control } = call;
  // A link to a folder goes as a file does, so this comes first.
  if ((await calls.unlessRefused(control.send(`DELE ${where}`))) !== undefined)
    return { files: 1, directories: 0 };
  const there = await calls.statPath(connection, where);
  if (there === undefined) throw missing(path);
  if (there.kind !== "directory")
    throw new PbError("permission_denied", "the server does not remove it", { path });
  return removeFolder(call, where, { path, recursive });
}

async function removeFolder(
  call: Call,
  where: string,
  { path, recursive }: { readonly path: string; readonly recursive: boolean },
): Promise<RemoveResult> {
  const { connection, control } = call;
  const inside = recursive ? await empty(call, where, path) : { files: 0, directories: 0 };
  try {
    await control.send(`RMD ${where}`);
  } catch (error) {
    if (!calls.isRefusal(error)) throw error;
    const { entries } = await calls.readFolder(connection, where);
    const left = entries.some((entry) => entry.path !== "." && entry.path !== "..");
    throw left
      ? new PbError("not_empty", "the folder is not empty", {
          path,
          hint: "remove what is in it too: --recursive",
          cause: error,
        })
      : error;
  }
  return { files: inside.files, directories: inside.directories + 1 };
}

/** Files that are removed at once, over one connection. */
const REMOVALS = 32;

async function empty(call: Call, where: string, path: string): Promise<RemoveResult> {
  const { entries } = await calls.readFolder(call.connection, where);
  const names = entries.filter((entry) => entry.path !== "." && entry.path !== "..");
  let [files, directories] = [0, 0];
  const others = names.filter(({ kind }) => kind !== "directory");
  for (let at = 0; at < others.length; at += REMOVALS) {
    refuseAborted(call.signal);
    const some = others
      .slice(at, at + REMOVALS)
      .map((entry) => call.control.send(`DELE ${child(where, entry, path)}`));
    for (const result of await Promise.allSettled(some)) {
      if (result.status === "rejected") throw result.reason;
      files += 1;
    }
  }
  for (const entry of names.filter(({ kind }) => kind === "directory")) {
    refuseAborted(call.signal);
    const below = { path: joinPath(path, entry.path), recursive: true };
    const inside = await removeFolder(call, child(where, entry, path), below);
    files += inside.files;
    directories += inside.directories;
  }
  return { files, directories };
}

/** @throws PbError `path_escapes`, `invalid_path` */
function child(where: string, entry: Entry, path: string): string {
  return wirePath({ root: where === "/" ? "" : where }, listedName(entry.path, path));
}

const missing = (path: string) => new PbError("not_found", "it is not there", { path });
const taken = (path: string) => new PbError("exists", "it is there already", { path });
const inTheWay = (path: string) => new PbError("not_a_directory", "a file is in the way", { path });

function refuseRoot(path: string): void {
  if (componentsBelow(path, BOUNDS).length === 0)
    throw new PbError("invalid_path", "the root itself can be neither renamed nor removed", { path });
}
