import { PbError } from "../../model/error.ts";
import { dirName, pathBytes, pathText } from "../../model/path.ts";
import type { ChunkSink, Confirmed, CreateChunksOptions, FileMeta, WriteWholeOptions } from "../chunks.ts";
import { PART, partName } from "../part-name.ts";
import { componentsBelow } from "../path.ts";
import * as calls from "./calls.ts";
import type { SftpConnection } from "./connect.ts";
import { kindOf, secondsOf } from "./entries.ts";
import { isFailure, isMissing } from "./errors.ts";
import { below, found, makeFolders, replacing } from "./files.ts";
import { type Call, type Ground, onGround } from "./ground.ts";
import { createHandles, type OpenHandle } from "./handles.ts";
import { OPEN } from "./packets.ts";
import { BOUNDS } from "./resolve.ts";
import { SPREAD_BYTES } from "./source.ts";

/** Where a file is written, and where it goes. */
interface Target {
  readonly path: string;
  readonly peer: string;
  readonly final: Uint8Array;
  readonly part: Uint8Array;
  /** What a checkpoint keeps. */
  readonly name: string;
}

export function openSink(ground: Ground, path: string, options: CreateChunksOptions): Promise<ChunkSink> {
  return onGround(ground, { path, signal: options.signal }, async (call) => {
    const target = await targetOf(ground, call, { path, ...options });
    if (options.resume === undefined) {
      const first = await begin(call, target, options.meta);
      return sinkOf(ground, { target, first, options });
    }
    const { first, size } = await goOn(call, target, options.size);
    return { ...sinkOf(ground, { target, first, options }), has: [{ from: 0, to: size }] };
  });
}

interface SinkParts {
  readonly target: Target;
  readonly first: OpenHandle;
  readonly options: CreateChunksOptions;
}

function sinkOf(ground: Ground, { target, first, options }: SinkParts): ChunkSink {
  const { path, part } = target;
  const handles = createHandles({
    pool: ground.pool,
    first,
    open: (session, signal) => calls.open(session, part, { flags: OPEN.write, signal }),
    spread: options.size >= SPREAD_BYTES,
  });
  const on = <T>(caller: AbortSignal, run: (open: OpenHandle, call: Call) => Promise<T>) =>
    onGround(ground, { path, signal: caller }, async (call) => run(await handles.take(call.signal), call));
  let over = false;
  /** Of a stream: as far as it was written. */
  let reach = 0;
  return {
    order: "any",
    blockBytes: 1,
    write: (offset, parts, caller) => {
      reach = Math.max(reach, offset + parts.reduce((sum, each) => sum + each.length, 0));
      return on(caller, (open, { signal }) => writeAll(open, { offset, parts, target, signal }));
    },
    state: (caller) =>
      on(caller, async (open, { signal }) => {
        if (options.sync) await sync(open, signal);
        return Buffer.from(target.name);
      }),
    commit: (caller) =>
      on(caller, async (open, call) => {
        await setMeta(open, options.meta, call.signal);
        if (options.sync) await sync(open, call.signal);
        const { size } = await calls.fstat(open.session, open.handle, call.signal);
        refuseSize(size, Number.isFinite(options.size) ? options.size : reach, path);
        await handles.close();
        await publish(call, target, ground.replaces);
        over = true;
        return { how: "size" };
      }),
    discard: (caller) =>
      onGround(ground, { path, signal: caller }, async (call) => {
        if (over) return;
        over = true;
        await handles.close().catch(() => {});
        await removePart(call, part);
      }),
    [Symbol.asyncDispose]: () => handles.close().catch(() => {}),
  };
}

/** Three round trips: opening, all of its content and metadata, the final name. */
export function writeWhole(
  ground: Ground,
  path: string,
  { bytes, meta, sync: durable, nameTag, signal: caller }: WriteWholeOptions & { readonly bytes: Uint8Array },
): Promise<Confirmed> {
  return onGround(ground, { path, signal: caller }, async (call) => {
    const target = await targetOf(ground, call, { path, nameTag });
    const open = await begin(call, target, meta);
    const { signal } = call;
    try {
      // A server answers the requests of one handle in their order.
      const looking = [
        writeAll(open, { offset: 0, parts: [bytes], target, signal }),
        setMeta(open, meta, signal),
        ...(durable ? [sync(open, signal)] : []),
      ];
      const size = calls.fstat(open.session, open.handle, signal);
      const closing = calls.close(open.session, open.handle);
      for (const result of await Promise.allSettled([...looking, size, closing]))
        if (result.status === "rejected") throw result.reason;
      refuseSize((await size).size, bytes.length, path);
      await publish(call, target, ground.replaces);
      return { how: "size" };
    } catch (error) {
      await removePart({ session: open.session }, target.part).catch(() => {});
      throw error;
    }
  });
}

export function setFolder(
  ground: Ground,
  path: string,
  { meta, signal: caller }: { readonly meta: FileMeta; readonly signal: AbortSignal },
): Promise<void> {
  return onGround(ground, { path, signal: caller }, async ({ session, signal, resolve }) =>
    calls.setstat(session, await resolve(path, "follow"), settable(meta), signal),
  );
}

async function targetOf(
  { peer }: Ground,
  { resolve }: Call,
  {
    path,
    resume,
    nameTag,
  }: { readonly path: string; readonly resume?: Uint8Array; readonly nameTag?: number | undefined },
): Promise<Target> {
  if (componentsBelow(path, BOUNDS).length === 0)
    throw new PbError("is_a_directory", "the root is a folder", { path });
  const name = resume === undefined ? partName(nameTag) : Buffer.from(resume).toString();
  // It comes from a file that somebody may have changed.
  if (!PART.test(name)) throw new PbError("corrupt_checkpoint", "it names no part of a file", { path });
  const final = await resolve(path, "keep");
  const folder = pathBytes(dirName(pathText(final)));
  return { path, peer, final, part: below(folder, Buffer.from(name)), name };
}

/** A new part; what has its name already, a link too, is not followed and not written to. */
async function begin(call: Call, target: Target, meta: FileMeta): Promise<OpenHandle> {
  const { session, signal } = call;
  const flags = OPEN.write | OPEN.create | OPEN.exclusive;
  // Until it is whole it is its writer's alone, unless the endpoint's default is asked for.
  const mode = meta.mode === undefined ? {} : { mode: 0o600 };
  const [opening, there] = await Promise.allSettled([
    calls.open(session, target.part, { flags, signal, ...mode }).catch(async (error: unknown) => {
      if (!isMissing(error)) throw error;
      const parent = dirName(componentsBelow(target.path, BOUNDS).join("/"));
      if (parent !== "") await makeFolders(call, parent);
      return calls.open(session, target.part, { flags, signal, ...mode });
    }),
    found(call, target.final),
  ]);
  if (opening.status === "rejected") {
    // It may be there by now, and nobody else would remove it. A server takes requests of one session in their order.
    if (signal.aborted) await removePart(call, target.part).catch(() => {});
    throw opening.reason;
  }
  const open = { session, handle: opening.value };
  const isFolder = there.status === "fulfilled" && there.value && kindOf(there.value) === "directory";
  if (!isFolder && there.status === "fulfilled") return open;
  await calls.close(session, open.handle).catch(() => {});
  await removePart(call, target.part).catch(() => {});
  throw there.status === "rejected"
    ? there.reason
    : new PbError("is_a_directory", "a folder has this name", { path: target.path });
}

async function goOn(
  call: Call,
  { part, path }: Target,
  size: number,
): Promise<{ readonly first: OpenHandle; readonly size: number }> {
  const { session, signal } = call;
  const there = await found(call, part);
  if (there === undefined || kindOf(there) !== "file" || (there.size ?? 0) > size)
    throw new PbError("corrupt_checkpoint", "what was written of it is gone", { path });
  const handle = await calls.open(session, part, { flags: OPEN.write, signal });
  return { first: { session, handle }, size: there.size ?? 0 };
}

interface WriteAll {
  readonly offset: number;
  readonly parts: readonly Uint8Array[];
  readonly target: Target;
  readonly signal: AbortSignal;
}

async function writeAll(
  { session, handle }: OpenHandle,
  { offset, parts, target, signal }: WriteAll,
): Promise<void> {
  const writes: Promise<void>[] = [];
  let at = offset;
  for (const bytes of requests(parts, session.writeBytes)) {
    writes.push(calls.write(session, handle, { offset: at, bytes, signal }));
    at += bytes.reduce((sum, each) => sum + each.length, 0);
  }
  for (const result of await Promise.allSettled(writes))
    if (result.status === "rejected")
      throw await whyNotWritten(session, { error: result.reason, target, signal });
}

/** Cuts parts that follow each other into requests of at most `most` bytes. */
export function* requests(parts: readonly Uint8Array[], most: number): Generator<Uint8Array[], void, void> {
  let batch: Uint8Array[] = [];
  let room = most;
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const piece = part.subarray(at, at + room);
      batch.push(piece);
      at += piece.length;
      room -= piece.length;
      if (room > 0) continue;
      yield batch;
      batch = [];
      room = most;
    }
  }
  if (batch.length > 0) yield batch;
}

/** "Failure" may be a full disk: there is a question for that. */
async function whyNotWritten(
  session: SftpConnection,
  { error, target, signal }: { error: unknown; target: Target; signal: AbortSignal },
): Promise<unknown> {
  if (!isFailure(error) || !session.extensions.has(calls.STATVFS)) return error;
  const free = await calls.freeBytes(session, target.part, signal).catch(() => undefined);
  const isFull = free !== undefined && free < session.writeBytes;
  return isFull
    ? new PbError("no_space", `${target.peer}: the server's disk is full`, {
        path: target.path,
        peer: target.peer,
        hint: "make room there, then go on",
        cause: error,
      })
    : error;
}

async function setMeta({ session, handle }: OpenHandle, meta: FileMeta, signal: AbortSignal): Promise<void> {
  await calls.fsetstat(session, handle, settable(meta), signal);
}

/** A time that SFTP cannot say is left as it is; bits that give others rights (set-user-id) never travel. */
function settable({ mtimeNs, mode }: FileMeta): calls.Settable {
  const mtime = secondsOf(mtimeNs);
  return { ...(mtime === undefined ? {} : { mtime }), ...(mode === undefined ? {} : { mode: mode & 0o777 }) };
}

async function sync({ session, handle }: OpenHandle, signal: AbortSignal): Promise<void> {
  if (session.extensions.has(calls.FSYNC)) await calls.fsync(session, handle, signal);
}

function refuseSize(has: number | undefined, wanted: number, path: string): void {
  if (has === undefined || has === wanted) return;
  throw new PbError("verification_failed", `the server has ${has} bytes of ${wanted}`, { path });
}

async function publish(call: Call, { part, final, path }: Target, replaces: boolean): Promise<void> {
  try {
    await replacing(call, { from: part, to: final, signal: call.signal, replaces });
  } catch (error) {
    const there = isFailure(error) ? await found(call, final) : undefined;
    if (there && kindOf(there) === "directory")
      throw new PbError("is_a_directory", "a folder has this name", { path, cause: error });
    throw error;
  }
}

/** Also after an abort: a part that nobody will go on with is in the way. */
async function removePart({ session }: Pick<Call, "session">, part: Uint8Array): Promise<void> {
  const { signal } = new AbortController();
  try {
    await calls.removeFile(session, part, signal);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
