/** A folder of this machine as an endpoint without an engine: for tests of the contract, and of all that pumps chunks. */

import { type FileHandle, mkdir, open, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PbError } from "../../model/error.ts";
import type {
  ChunkAccess,
  ChunkSink,
  ChunkSource,
  CreateChunksOptions,
  FileMeta,
  KnownVersion,
} from "../chunks.ts";
import { partName } from "../part-name.ts";
import { componentsBelow } from "../path.ts";
import { refuseAborted } from "../signals.ts";

export interface FolderChunksOptions {
  readonly root: string;
  readonly maxCalls?: number;
  readonly parallel?: boolean;
  readonly order?: "any" | "ascending";
  readonly blockBytes?: number;
  /** Called before each piece of work; may wait or throw, as an endpoint does. */
  readonly before?: (call: string, path: string) => Promise<void> | void;
  /** Called after each that succeeded, before anybody hears of it. */
  readonly after?: (call: string, path: string) => Promise<void> | void;
}

const BOUNDS = { componentBytes: 255, pathBytes: 4_095, anyBytes: false };

export function folderChunks(options: FolderChunksOptions): ChunkAccess {
  const { root, maxCalls = 8, before = () => {}, after = () => {} } = options;
  const at = (path: string) => join(root, ...componentsBelow(path, BOUNDS));
  const call = async <T>(
    what: string,
    path: string,
    signal: AbortSignal,
    run: () => Promise<T>,
  ): Promise<T> => {
    refuseAborted(signal);
    const file = at(path);
    await before(what, path);
    const done = await run().catch((cause: unknown) => {
      throw named(cause, path, file);
    });
    await after(what, path);
    return done;
  };
  const access: ChunkAccess = {
    maxCalls,
    open: (path, { known, signal }) =>
      call("open", path, signal, () => openSource(at(path), { path, known, options })),
    readWhole: (path, into, { known, signal }) =>
      call("readWhole", path, signal, async () => {
        await using source = await openSource(at(path), { path, known, options });
        await source.read(0, into, signal);
        return { ...source.now, confirmed: await source.finish(signal) };
      }),
    create: (path, create) =>
      call("create", path, create.signal, () => openSink(at(path), { path, create, options })),
    writeWhole: (path, bytes, whole) =>
      call("writeWhole", path, whole.signal, async () => {
        await using sink = await openSink(at(path), {
          path,
          create: { ...whole, size: bytes.length },
          options,
        });
        try {
          await sink.write(0, [bytes], whole.signal);
          return await sink.commit(whole.signal);
        } finally {
          await sink.discard(whole.signal);
        }
      }),
    setFolder: (path, { meta, signal }) => call("setFolder", path, signal, () => setTimes(at(path), meta)),
  };
  return access;
}

interface Opened {
  readonly path: string;
  readonly options: FolderChunksOptions;
}

async function openSource(
  file: string,
  { path, known, options }: Opened & { readonly known: KnownVersion },
): Promise<ChunkSource> {
  const handle = await open(file, "r");
  const now = await versionOf(handle);
  if (!isSame(known, now)) {
    await handle.close();
    throw changed(path);
  }
  return {
    now,
    parallel: options.parallel ?? true,
    async read(offset, into, signal) {
      refuseAborted(signal);
      await options.before?.("read", path);
      const { bytesRead } = await handle.read(into, 0, into.length, offset);
      if (bytesRead < into.length) throw changed(path);
    },
    async finish() {
      if (!isSame(now, await versionOf(handle))) throw changed(path);
      return { how: "size" };
    },
    [Symbol.asyncDispose]: () => handle.close().catch(() => undefined),
  };
}

async function openSink(
  file: string,
  { path, create, options }: Opened & { readonly create: CreateChunksOptions },
): Promise<ChunkSink> {
  const { order = "any", blockBytes = 1 } = options;
  const resumed = create.resume && Buffer.from(create.resume).toString();
  const part = join(dirname(file), resumed ?? partName(create.nameTag));
  await mkdir(dirname(file), { recursive: true });
  const handle = await open(part, resumed === undefined ? "wx+" : "r+").catch((cause: unknown) => {
    if (resumed === undefined) throw cause;
    throw new PbError("corrupt_checkpoint", "the part is gone", { path, cause });
  });
  let over = false;
  const has = resumed === undefined ? undefined : [{ from: 0, to: (await handle.stat()).size }];
  return {
    order,
    blockBytes,
    ...(has && { has }),
    async write(offset, parts, signal) {
      refuseAborted(signal);
      await options.before?.("write", path);
      let at = offset;
      for (const each of parts) {
        await handle.write(each, 0, each.length, at);
        at += each.length;
      }
    },
    async state() {
      await handle.sync();
      return Buffer.from(part.slice(dirname(part).length + 1));
    },
    async commit() {
      await options.before?.("commit", path);
      over = true;
      if (create.meta.mode !== undefined) await handle.chmod(create.meta.mode);
      await handle.close();
      await setTimes(part, create.meta);
      await rename(part, file);
      return { how: "size" };
    },
    async discard() {
      if (over) return;
      over = true;
      await handle.close();
      await rm(part, { force: true });
    },
    [Symbol.asyncDispose]: () => handle.close().catch(() => undefined),
  };
}

async function versionOf(handle: FileHandle): Promise<KnownVersion> {
  const { size, mtimeNs } = await handle.stat({ bigint: true });
  return { size: Number(size), mtimeNs };
}

/** Times of Node's own calls have microseconds. */
function isSame(known: KnownVersion, now: KnownVersion): boolean {
  const sameTime = known.mtimeNs === 0n || known.mtimeNs === now.mtimeNs;
  return known.size === now.size && sameTime;
}

function changed(path: string): PbError {
  return new PbError("source_changed", "the file is another one by now", { path });
}

async function setTimes(file: string, { mtimeNs }: FileMeta): Promise<void> {
  const seconds = Number(mtimeNs / 1_000n) / 1e6;
  await utimes(file, (await stat(file)).atime, seconds);
}

function named(cause: unknown, path: string, file: string): PbError {
  if (cause instanceof PbError) return cause;
  const { code } = cause as NodeJS.ErrnoException;
  const message = `${file}: ${(cause as Error).message}`;
  if (code === "ENOENT") return new PbError("not_found", message, { path, cause });
  if (code === "EISDIR") return new PbError("is_a_directory", message, { path, cause });
  if (code === "ENOTDIR" || code === "EEXIST")
    return new PbError("not_a_directory", message, { path, cause });
  return PbError.from(cause, "io_error", { path });
}
