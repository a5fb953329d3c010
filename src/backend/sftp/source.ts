import { PbError } from "../../model/error.ts";
import type { ChunkSource, KnownVersion, OpenChunksOptions, WholeRead } from "../chunks.ts";
import * as calls from "./calls.ts";
import type { SftpConnection } from "./connect.ts";
import { entryOf, kindOf, secondsOf } from "./entries.ts";
import { type Ground, onGround } from "./ground.ts";
import { createHandles, type OpenHandle } from "./handles.ts";
import { type Attributes, OPEN } from "./packets.ts";

/** Smaller files are read over one connection. */
export const SPREAD_BYTES = 8 * 1024 * 1024;

export function openSource(ground: Ground, path: string, options: OpenChunksOptions): Promise<ChunkSource> {
  return onGround(ground, { path, signal: options.signal }, async ({ session, signal, resolve }) => {
    const where = await resolve(path, "follow");
    const first = await openFile(session, where, { path, known: options.known, signal });
    const { now } = first;
    const handles = createHandles({
      pool: ground.pool,
      first,
      // Another connection may find another file there by now.
      open: async (other, aborted) =>
        (await openFile(other, where, { path, known: now, signal: aborted })).handle,
      spread: now.size >= SPREAD_BYTES,
    });
    const on = <T>(caller: AbortSignal, run: (open: OpenHandle, signal: AbortSignal) => Promise<T>) =>
      onGround(ground, { path, signal: caller }, async (call) =>
        run(await handles.take(call.signal), call.signal),
      );
    return {
      now,
      parallel: true,
      read: (offset, into, caller) =>
        on(caller, (open, aborted) => fill(open, into, { offset, path, signal: aborted })),
      finish: (caller) =>
        on(caller, async (open, aborted) => {
          refuseOther(await calls.fstat(open.session, open.handle, aborted), now, path);
          return { how: "size" };
        }),
      [Symbol.asyncDispose]: () => handles.close().catch(() => {}),
    };
  });
}

/** Two round trips: opening, and all else at once. */
export function readWhole(
  ground: Ground,
  path: string,
  { into, known, signal: caller }: OpenChunksOptions & { readonly into: Uint8Array },
): Promise<WholeRead> {
  return onGround(ground, { path, signal: caller }, async ({ session, signal, resolve }) => {
    const handle = await calls.open(session, await resolve(path, "follow"), { flags: OPEN.read, signal });
    const reading =
      into.length === 0 ? undefined : fill({ session, handle }, into, { offset: 0, path, signal });
    const looking = calls.fstat(session, handle, signal);
    const closing = calls.close(session, handle);
    const [read, looked] = await Promise.allSettled([reading, looking, closing]);
    if (looked.status === "rejected") throw looked.reason;
    // Before the bytes: those of a folder, or of a file that is shorter, fail by themselves and say less.
    refuseOther(looked.value, known, path);
    if (read.status === "rejected") throw read.reason;
    return { ...versionOf(looked.value), confirmed: { how: "size" } };
  });
}

async function openFile(
  session: SftpConnection,
  where: Uint8Array,
  { path, known, signal }: OpenChunksOptions & { readonly path: string },
): Promise<OpenHandle & { readonly now: KnownVersion }> {
  const handle = await calls.open(session, where, { flags: OPEN.read, signal });
  try {
    const attributes = await calls.fstat(session, handle, signal);
    refuseOther(attributes, known, path);
    return { session, handle, now: versionOf(attributes) };
  } catch (error) {
    calls.close(session, handle).catch(() => {});
    throw error;
  }
}

/** Requests of the server's size, all out at once; a server may give less than asked, but never nothing before the end. */
async function fill(
  { session, handle }: OpenHandle,
  into: Uint8Array,
  { offset, path, signal }: { readonly offset: number; readonly path: string; readonly signal: AbortSignal },
): Promise<void> {
  const piece = async (from: number) => {
    const end = Math.min(from + session.readBytes, into.length);
    for (let at = from; at < end; ) {
      const got = await session.read(handle, offset + at, { into: into.subarray(at, end), signal });
      if (got === 0) throw changed(path);
      at += got;
    }
  };
  const pieces: Promise<void>[] = [];
  for (let at = 0; at < into.length; at += session.readBytes) pieces.push(piece(at));
  // All of them: after a failure the others still write into the buffer.
  for (const result of await Promise.allSettled(pieces))
    if (result.status === "rejected") throw result.reason;
}

function versionOf(attributes: Attributes): KnownVersion {
  const { size, mtimeNs } = entryOf("", attributes);
  return { size, mtimeNs };
}

/** By size and second: SFTP has nothing finer. */
function refuseOther(attributes: Attributes, known: KnownVersion, path: string): void {
  const kind = kindOf(attributes);
  if (kind === "directory") throw new PbError("is_a_directory", "this is a folder", { path });
  if (kind !== "file") throw new PbError("unsupported_kind", "this is no file", { path });
  const sameTime =
    known.mtimeNs === 0n || attributes.mtime === undefined || secondsOf(known.mtimeNs) === attributes.mtime;
  if ((attributes.size ?? 0) !== known.size || !sameTime) throw changed(path);
}

const changed = (path: string) => new PbError("source_changed", "the file is another one by now", { path });
