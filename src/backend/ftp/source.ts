import { PbError } from "../../model/error.ts";
import type { ChunkSource, KnownVersion, OpenChunksOptions, WholeRead } from "../chunks.ts";
import { type FillableMemory, rangeBytesOf } from "../fetching.ts";
import { either, refuseAborted } from "../signals.ts";
import * as calls from "./calls.ts";
import type { FtpConnection } from "./connection.ts";
import { ftpError, type Ground, onGround, wirePath } from "./ground.ts";
import { Ended } from "./pull.ts";
import { begin, createReader, type Reader, type Way, ways, whyEnded } from "./reader.ts";

/** Where a round trip takes longer than this, one connection does not fill the path: a large file is read in segments beside each other. */
const FAR_MS = 5;
/** Of such a file, through Node; a segment that ends costs what the server has sent of the next one already. */
const SEGMENT_BYTES = 16 * 1024 * 1024;

export async function openSource(
  ground: Ground,
  path: string,
  { known, signal: caller }: OpenChunksOptions,
): Promise<ChunkSource> {
  const { where, now, isFar, canReceive } = await onGround(
    ground,
    { path, signal: caller },
    async ({ connection }) => {
      const place = wirePath(ground, path);
      return {
        where: place,
        now: await refuseOther(connection, { where: place, path, known }),
        isFar: connection.rttMs > FAR_MS,
        canReceive: connection.receive !== undefined,
      };
    },
  );
  const readers = new Set<Reader<never>>();
  const about = { path, peer: ground.peer };
  const segment = canReceive ? rangeBytesOf(now.size) : SEGMENT_BYTES;
  const most = isFar ? segment : Number.POSITIVE_INFINITY;

  /** The one that has come to this offset, unless it is through with its segment. */
  function readerAt<Into>(offset: number, way: Way<Into>): Reader<Into> | undefined {
    const fits = (each: Reader<never>) => each.way === way && each.next === offset && each.resume();
    return [...readers].find(fits) as Reader<Into> | undefined;
  }

  async function read<Into extends { readonly length: number }>(
    offset: number,
    into: Into,
    { way, signal: given }: { readonly way: Way<Into>; readonly signal: AbortSignal },
  ): Promise<void> {
    using signals = either(given, ground.closing);
    const { signal } = signals;
    try {
      refuseAborted(signal);
      let reader = readerAt(offset, way);
      if (reader === undefined) {
        reader = createReader(await ground.pool.lease(signal), { where, offset, way, most });
        readers.add(reader);
      }
      try {
        await reader.fill(into, { signal, size: now.size });
      } finally {
        if (reader.over) readers.delete(reader);
      }
    } catch (error) {
      throw ftpError(error, about);
    }
  }

  return {
    now,
    parallel: true,
    read: (offset, into, signal) => read<Uint8Array>(offset, into, { way: ways.throughNode, signal }),
    ...(canReceive && {
      // However near: the engine asks in no exact order, and a chunk to which no transfer has come yet begins one of its own.
      gatherBytes: segment,
      async readInto(memory, signal) {
        await read<FillableMemory>(memory.offset, memory, { way: ways.pastNode, signal });
        return true;
      },
    }),
    finish: (given) =>
      onGround(ground, { path, signal: given }, async ({ connection }) => {
        await refuseOther(connection, { where, path, known: now });
        return { how: "size" };
      }),
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([...readers].map((reader) => reader.breakOff()));
    },
  };
}

export function readWhole(
  ground: Ground,
  path: string,
  { into, known, signal: caller }: OpenChunksOptions & { readonly into: Uint8Array },
): Promise<WholeRead> {
  return onGround(ground, { path, signal: caller }, async ({ connection }) => {
    const about = { where: wirePath(ground, path), path };
    // Where its time is known, what is seen afterwards says as much: that it is, and was, what was listed.
    const isTold = known.mtimeNs !== 0n && into.length > 0;
    const before = isTold ? known : await refuseOther(connection, { ...about, known });
    if (into.length === 0) return { ...before, confirmed: { how: "size" } };
    const now = await readAll(connection, about, into, async () => {
      const [seen] = await Promise.allSettled([
        refuseOther(connection, { ...about, known: before }),
        connection.prepare(),
      ]);
      if (seen.status === "rejected") throw seen.reason;
      return seen.value;
    });
    return { ...now, confirmed: { how: "size" } };
  });
}

/**
 * What is asked `then` goes out when the last byte is here: the word that the transfer is over is on its way, or waits for this side's end of the data
 * connection, and the answers come right behind it, a round trip sooner.
 */
async function readAll<T>(
  connection: FtpConnection,
  { where, path }: Pick<Other, "where" | "path">,
  into: Uint8Array,
  then: () => Promise<T>,
): Promise<T> {
  const opening = begin(connection, where);
  try {
    const { pull, final } = await opening;
    await pull.fill(into);
    await pull.end();
    const [ended, asked] = await Promise.allSettled([final, then()]);
    if (ended.status === "rejected") throw ended.reason;
    if (asked.status === "rejected") throw asked.reason;
    return asked.value;
  } catch (error) {
    if (error instanceof Ended) throw await whyEnded(opening);
    // 550 says no more than "no".
    const size = calls.isRefusal(error) ? await calls.sizeOf(connection, where) : 0;
    throw size === undefined ? await whyNone(connection, { where, path }) : error;
  }
}

interface Other {
  readonly where: string;
  readonly path: string;
  readonly known: KnownVersion;
}

/** What is there now. @throws PbError `source_changed`, `is_a_directory`, `not_found` */
async function refuseOther(connection: FtpConnection, { where, path, known }: Other): Promise<KnownVersion> {
  const [size, time] = await calls.versionOf(connection, where);
  if (size === undefined) throw await whyNone(connection, { where, path });
  const sameTime = known.mtimeNs === 0n || time === undefined || seconds(time) === seconds(known.mtimeNs);
  if (size === known.size && sameTime) return { size, mtimeNs: time ?? known.mtimeNs };
  throw new PbError("source_changed", "the file is another one by now", { path });
}

async function whyNone(
  connection: FtpConnection,
  { where, path }: Pick<Other, "where" | "path">,
): Promise<PbError> {
  const there = await calls.statPath(connection, where);
  if (there === undefined) return new PbError("not_found", "it is not there", { path });
  if (there.kind === "directory") return new PbError("is_a_directory", "this is a folder", { path });
  return new PbError("permission_denied", "the server does not tell its size", { path });
}

const seconds = (ns: bigint) => ns / 1_000_000_000n;
