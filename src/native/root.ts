/** Directories that the engine works below: native/pb-io/src/fs, as promises and `PbError`s. */

import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { pathBytes, pathText } from "../model/path.ts";
import { type Addon, addon } from "./addon.ts";
import { type DecodedBatch, decodeBatch } from "./entries.ts";
import { fromNative } from "./errors.ts";

/** A directory that the engine may work below. Descriptor-relative; see native/pb-io/src/fs. */
export interface NativeRoot {
  /** Idempotent. */
  close(): void;
}

/**
 * A `NativeRoot` and its file operations. Paths are `PathText` relative to it, "" is the root; a leading '/' is
 * ignored. Errors carry the path concerned, relative to the root. See backend.ts for what each call promises.
 */
export interface FileRoot extends NativeRoot {
  readonly writable: boolean;
  /** The same directory or one further down, with no more rights. */
  sub(path: string, options: { readonly writable: boolean }): Promise<FileRoot>;
  stat(path: string, options: { readonly follow: boolean }): Promise<Entry>;
  /** Batches of at most 1,000 records. Ending the iteration early closes the listing. */
  walk(path: string, options: WalkOptions): AsyncGenerator<DecodedBatch, void, void>;
  /** `mode` 0: 0777 less the umask. */
  mkdir(path: string, options: { readonly parents: boolean; readonly mode: number }): Promise<boolean>;
  touch(path: string, options: { readonly mtimeNs?: bigint; readonly create: boolean }): Promise<void>;
  rename(from: string, to: string, options: { readonly replace: boolean }): Promise<void>;
  /** Aborting ends it soon with `aborted`; what was removed until then stays removed. */
  remove(
    path: string,
    options: { readonly recursive: boolean; readonly signal: AbortSignal },
  ): Promise<{ readonly files: number; readonly directories: number }>;
  /** `PathText`, as stored in the link. */
  readLink(path: string): Promise<string>;
  /** Bytes. */
  freeSpace(path: string): Promise<{ readonly available: number; readonly total: number }>;
}

export interface WalkOptions {
  readonly follow: boolean;
  /** 0: no bound; 1: the folder's own entries. */
  readonly maxDepth: number;
}

export interface OpenRootOptions {
  /** `PathText` of a directory of this machine. */
  readonly directory: string;
  /** "beneath": no link leads out (what is shown to others). "host": links lead where they lead (the user's own files). */
  readonly resolve: "beneath" | "host";
  readonly writable: boolean;
}

/** API batches hold at most this many entries. */
const BATCH = 1_000;

/** @throws PbError `not_found`, `not_a_directory`, `permission_denied`; `internal` when the addon is missing */
export async function openRoot({ directory, resolve, writable }: OpenRootOptions): Promise<FileRoot> {
  if (directory.includes("\0")) throw new PbError("invalid_path", "not a valid path", { path: directory });
  const { NativeRoot } = addon();
  return wrap(await mapped(NativeRoot.open(pathBytes(directory), resolve === "beneath", writable)), writable);
}

const handles = new WeakMap<NativeRoot, Addon.NativeRoot>();

/** The addon's handle of a root that was opened here; for session.ts. */
export function rootHandle(root: NativeRoot): Addon.NativeRoot {
  const handle = handles.get(root);
  if (handle === undefined) throw new PbError("internal", "this root was not opened by the engine");
  return handle;
}

function relative(path: string): Uint8Array {
  return pathBytes(path.replace(/^\/+/, ""));
}

/** Runs a call that may also throw before it returns its promise. */
async function call<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw fromNative(error);
  }
}

const mapped = <T>(promise: Promise<T>): Promise<T> => call(() => promise);

function wrap(handle: Addon.NativeRoot, writable: boolean): FileRoot {
  const root: FileRoot = {
    writable,
    sub: (path, options) =>
      call(async () => {
        const may = writable && options.writable;
        return wrap(await handle.sub(relative(path), may), may);
      }),
    stat: (path, { follow }) =>
      call(async () => {
        const [entry] = decodeBatch(await handle.stat(relative(path), follow)).entries;
        if (entry === undefined) throw new PbError("internal", "the engine gave no entry", { path });
        return entry;
      }),
    walk: (path, options) => walk(handle, path, options),
    mkdir: (path, { parents, mode }) => call(() => handle.mkdir(relative(path), parents, mode)),
    touch: (path, { mtimeNs, create }) => call(() => handle.touch(relative(path), mtimeNs, create)),
    rename: (from, to, { replace }) => call(() => handle.rename(relative(from), relative(to), replace)),
    remove: (path, options) => call(() => remove(handle, path, options)),
    readLink: (path) => call(async () => pathText(await handle.readLink(relative(path)))),
    freeSpace: (path) => call(() => handle.freeSpace(relative(path))),
    close: () => handle.close(),
  };
  handles.set(root, handle);
  return root;
}

async function* walk(
  handle: Addon.NativeRoot,
  path: string,
  { follow, maxDepth }: WalkOptions,
): AsyncGenerator<DecodedBatch, void, void> {
  const walker = await call(() => handle.walk(relative(path), follow, maxDepth));
  const next = () => call(() => walker.next(BATCH));
  let ahead = next();
  try {
    for (;;) {
      const batch = await ahead;
      if (batch === null) return;
      // The engine lists while the caller does something with what is here.
      ahead = next();
      ahead.catch(() => undefined);
      yield decodeBatch(batch);
    }
  } finally {
    walker.close();
  }
}

async function remove(
  handle: Addon.NativeRoot,
  path: string,
  { recursive, signal }: { readonly recursive: boolean; readonly signal: AbortSignal },
): Promise<{ readonly files: number; readonly directories: number }> {
  const { NativeCancel } = addon();
  const cancel = new NativeCancel();
  const stop = () => cancel.cancel();
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await handle.remove(relative(path), recursive, cancel);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
