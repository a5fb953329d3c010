import { PbError } from "../../model/error.ts";
import { dirName } from "../../model/path.ts";
import type { ChunkSink, Confirmed, CreateChunksOptions, FileMeta, WriteWholeOptions } from "../chunks.ts";
import { PART, partName } from "../part-name.ts";
import { componentsBelow } from "../path.ts";
import * as calls from "./calls.ts";
import type { FtpConnection, Transfer } from "./connection.ts";
import { againInTurn, beginAgain, learnContinuing, NOT_CONTINUED } from "./continuing.ts";
import { makeParents, replacing } from "./files.ts";
import { BOUNDS, type Call, ftpError, type Ground, onGround, onLease, wirePath } from "./ground.ts";
import type { Lease } from "./pool.ts";
import { finish, push } from "./push.ts";

/** Servers end a transfer on which nothing moves, after minutes; before that it is ended here, well. */
const IDLE_MS = 10_000;
/** Where all would be written anew for it, that is worth waiting longer: still less than servers wait (vsftpd 300 s). */
const IDLE_ONCE_MS = 120_000;

/** Where a file is written, and where it goes. */
interface Target {
  readonly path: string;
  readonly final: string;
  readonly part: string;
  /** What a checkpoint keeps. */
  readonly name: string;
}

/** How long a part's removal may take once nobody waits for it. */
const REMOVE_MS = 15_000;

/** An empty part, or what an earlier life has written of it. */
export async function openSink(
  ground: Ground,
  path: string,
  options: CreateChunksOptions,
): Promise<ChunkSink> {
  let made: Target | undefined;
  try {
    return await onGround(ground, { path, signal: options.signal }, async ({ connection }) => {
      const target = targetOf(ground, path, options);
      const there = await calls.statPath(connection, target.final);
      if (there?.kind === "directory") throw isFolder(path);
      const parts = { target, options, isThere: there !== undefined };
      if (options.resume !== undefined)
        return sinkOf(ground, { ...parts, size: await goOn({ ground, connection }, target, options.size) });
      made = target;
      await empty(ground, connection, target);
      await learnContinuing(ground, connection, target.part);
      return sinkOf(ground, { ...parts, size: 0 });
    });
  } catch (error) {
    // Who was not given it cannot remove it.
    if (made !== undefined) await removePart(ground, made).catch(() => {});
    throw error;
  }
}

async function goOn(
  { ground, connection }: { readonly ground: Ground; readonly connection: FtpConnection },
  { part, path }: Target,
  size: number,
): Promise<number> {
  const now = await calls.sizeOf(connection, part);
  if (now === undefined || now > size)
    throw new PbError("corrupt_checkpoint", "what was written of it is gone", { path });
  if (await learnContinuing(ground, connection, part)) return now;
  // Who is told that it can't be used has no way to remove it.
  await calls.unlessRefused(connection.control.send(`DELE ${part}`));
  throw new PbError("corrupt_checkpoint", NOT_CONTINUED, { path });
}

async function removePart(ground: Ground, { path, part }: Target): Promise<void> {
  const signal = AbortSignal.timeout(REMOVE_MS);
  await onGround(ground, { path, signal }, async ({ control }) => {
    await calls.unlessRefused(control.send(`DELE ${part}`));
  });
}

interface SinkParts {
  readonly target: Target;
  readonly options: CreateChunksOptions;
  /** Of the part. */
  readonly size: number;
  readonly isThere: boolean;
}

interface Open {
  readonly lease: Lease;
  readonly transfer: Transfer;
}

function sinkOf(ground: Ground, { target, options, size: begun, isThere }: SinkParts): ChunkSink {
  const { path, part } = target;
  /** What the server has, or will have when the transfer under way ends well. */
  let size = begun;
  let open: Open | undefined;
  let idle: NodeJS.Timeout | undefined;
  let over = false;
  /** Written from its beginning to its end, or not at all. */
  const isOnce = () => ground.uploads.continued === false;

  /** What the server has said when it took no more. */
  let refused: PbError | undefined;

  /** A write that succeeded was only handed over: the server may end the transfer with less. */
  function lost(has: number, written: number): PbError {
    const why = refused?.message ?? `${ground.peer}: the server has lost what was written`;
    const hint = refused?.hint;
    return new PbError("io_error", `${why}: ${has} bytes of ${written} are there`, {
      ...{ path, peer: ground.peer },
      ...(hint && { hint }),
    });
  }

  /** Rejects when what went before did not arrive. */
  let settled: Promise<void> = Promise.resolve();

  /** Ends the transfer under way: only then the server says that it has all. */
  async function settle(signal: AbortSignal): Promise<void> {
    clearTimeout(idle);
    await settled;
    const ending = open;
    open = undefined;
    if (ending === undefined || !ending.lease.unpark()) return;
    await onLease(ending.lease, { signal, keep: false }, ({ control }) => finish(ending.transfer, control));
  }

  /** The connection is wanted elsewhere, or nothing comes for a while: a later write appends. */
  function giveUp(): Promise<void> {
    const ending = open;
    open = undefined;
    if (ending !== undefined) {
      const { lease, transfer } = ending;
      settled = finish(transfer, lease.connection.control).then(() => lease.release());
      // Heard by the next call.
      settled.catch(() => {});
    }
    return settled;
  }

  function park({ lease }: Open): void {
    lease.connection.control.rest();
    lease.park(giveUp);
    clearTimeout(idle);
    idle = setTimeout(
      () => {
        if (lease.unpark()) giveUp().catch(() => lease.release({ broken: true }));
      },
      isOnce() ? IDLE_ONCE_MS : IDLE_MS,
    );
    idle.unref();
  }

  async function begin({ connection, signal }: Call, offset: number): Promise<Transfer> {
    const has = await calls.sizeOf(connection, part);
    if (has === undefined || has < offset) throw lost(has ?? 0, offset);
    size = offset;
    // What is there of it is overwritten: a server that continues nothing does that, too.
    if (offset === 0) return connection.transfer(`STOR ${part}`);
    if (isOnce())
      return beginAgain(ground, connection, { part, bytes: offset, nameTag: options.nameTag, signal });
    return has === offset
      ? connection.transfer(`APPE ${part}`)
      : connection.transfer(`STOR ${part}`, `REST ${offset}`);
  }

  async function write(offset: number, parts: readonly Uint8Array[], caller: AbortSignal): Promise<void> {
    clearTimeout(idle);
    await settled;
    if (open !== undefined && offset !== size) await settle(caller);
    const lease = open?.lease.unpark() ? open.lease : undefined;
    const going = lease === undefined ? undefined : open?.transfer;
    const run = async (call: Call) => {
      const transfer = going ?? (await begin(call, offset));
      for (const each of parts) {
        call.control.alive();
        await push(transfer, each);
      }
      return { lease: call.lease, transfer };
    };
    const broken = () => open?.transfer.data.destroy();
    const anywhere = () => onGround(ground, { path, signal: caller, keep: true }, run);
    try {
      open =
        lease === undefined
          ? await (isOnce() && offset > 0 ? againInTurn(ground, anywhere) : anywhere())
          : await onLease(lease, { signal: caller, keep: true }, run);
    } catch (error) {
      broken();
      open = undefined;
      throw error;
    }
    size += parts.reduce((sum, each) => sum + each.length, 0);
    park(open);
  }

  async function discard(caller: AbortSignal): Promise<void> {
    if (over) return;
    over = true;
    await settle(caller).catch(() => {});
    await onGround(ground, { path, signal: caller }, async ({ control }) => {
      await calls.unlessRefused(control.send(`DELE ${part}`));
    });
  }

  /** What a transfer that was parked is refused with is heard outside of `onGround`. */
  const named = <T>(result: Promise<T>): Promise<T> =>
    result.catch((error: unknown) => {
      const known = ftpError(error, { path, peer: ground.peer });
      if (calls.isRefusal(known.cause)) refused = known;
      throw known;
    });

  return {
    order: "ascending",
    blockBytes: 1,
    ...(options.resume && { has: [{ from: 0, to: begun }] }),
    write: (offset, parts, caller) => named(write(offset, parts, caller)),
    async state(caller) {
      // What can't be gone on with is not broken off for it either.
      if (isOnce()) return new Uint8Array();
      await named(settle(caller));
      return Buffer.from(target.name);
    },
    async commit(caller) {
      await named(settle(caller));
      return onGround(ground, { path, signal: caller }, async ({ connection }) => {
        const confirmed = await publish({ ground, connection }, target, {
          meta: options.meta,
          size: Number.isFinite(options.size) ? options.size : size,
          isThere,
        });
        over = true;
        return confirmed;
      });
    },
    discard,
    async [Symbol.asyncDispose]() {
      if (isOnce()) return discard(AbortSignal.timeout(REMOVE_MS)).catch(() => {});
      const { signal } = new AbortController();
      await settle(signal).catch(() => {});
    },
  };
}

export function writeWhole(
  ground: Ground,
  path: string,
  { bytes, meta, nameTag, signal: caller }: WriteWholeOptions & { readonly bytes: Uint8Array },
): Promise<Confirmed> {
  return onGround(ground, { path, signal: caller }, async ({ connection, control }) => {
    const target = targetOf(ground, path, { nameTag });
    const transfer = await begun(ground, connection, target);
    try {
      if (bytes.length > 0) await push(transfer, bytes);
      await finish(transfer, control);
      return await publish({ ground, connection }, target, { meta, size: bytes.length, isThere: undefined });
    } catch (error) {
      if (!control.closed) await calls.unlessRefused(control.send(`DELE ${target.part}`)).catch(() => {});
      throw error;
    }
  });
}

/** STOR, with the folders above it where they are missing. */
async function begun(ground: Ground, connection: FtpConnection, { part, path }: Target): Promise<Transfer> {
  try {
    return await connection.transfer(`STOR ${part}`);
  } catch (error) {
    if (!calls.isRefusal(error)) throw error;
    await makeParents({ ground, connection }, path);
    return connection.transfer(`STOR ${part}`);
  }
}

async function empty(ground: Ground, connection: FtpConnection, target: Target): Promise<void> {
  await finish(await begun(ground, connection, target), connection.control);
}

function targetOf(
  ground: Ground,
  path: string,
  { resume, nameTag }: { readonly resume?: Uint8Array; readonly nameTag?: number | undefined },
): Target {
  const components = componentsBelow(path, BOUNDS);
  if (components.length === 0) throw isFolder(path);
  const name = resume === undefined ? partName(nameTag) : Buffer.from(resume).toString();
  // It comes from a file that somebody may have changed.
  if (!PART.test(name)) throw new PbError("corrupt_checkpoint", "it names no part of a file", { path });
  const folder = dirName(components.join("/"));
  return { path, name, final: wirePath(ground, path), part: wirePath(ground, `${folder}/${name}`) };
}

interface Publish {
  readonly meta: FileMeta;
  readonly size: number;
  /** Something has the final name; undefined: nobody has looked. */
  readonly isThere: boolean | undefined;
}

async function publish(
  { ground, connection }: { readonly ground: Ground; readonly connection: FtpConnection },
  { part, final, path }: Target,
  { meta, size, isThere }: Publish,
): Promise<Confirmed> {
  const [has, isTimed] = await Promise.all([
    calls.sizeOf(connection, part),
    calls.setTime(connection, part, meta.mtimeNs),
    connection.prepare(),
  ]);
  if (!isTimed) ground.times.refused = true;
  if (has !== undefined && has !== size)
    throw new PbError("verification_failed", `the server has ${has} bytes of ${size}`, { path });
  try {
    await replacing(connection, { from: part, to: final, isThere: isThere ?? true });
  } catch (error) {
    const there = calls.isRefusal(error) ? await calls.statPath(connection, final) : undefined;
    throw there?.kind === "directory" ? isFolder(path) : error;
  }
  return has === undefined ? { how: "nothing" } : { how: "size" };
}

const isFolder = (path: string) => new PbError("is_a_directory", "a folder has this name", { path });
