import { PbError } from "../../model/error.ts";
import type { ChunkSource, KnownVersion, OpenChunksOptions, WholeRead } from "../chunks.ts";
import { either, refuseAborted, unlessAborted } from "../signals.ts";
import * as calls from "./calls.ts";
import type { FtpConnection } from "./connection.ts";
import { ftpError, type Ground, onGround, wirePath } from "./ground.ts";
import type { Lease } from "./pool.ts";
import { Ended, type Pull, pullFrom } from "./pull.ts";

/** Where a round trip takes longer than this, one connection does not fill the path: a large file is read in segments beside each other. */
const FAR_MS = 5;
/** Of such a file; a segment that ends costs what the server has sent of the next one already. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** How long a server may take to notice that a transfer was broken off. */
const BREAK_OFF_MS = 3_000;

export async function openSource(
  ground: Ground,
  path: string,
  { known, signal: caller }: OpenChunksOptions,
): Promise<ChunkSource> {
  const { where, now, isFar } = await onGround(ground, { path, signal: caller }, async ({ connection }) => {
    const place = wirePath(ground, path);
    return {
      where: place,
      now: await refuseOther(connection, { where: place, path, known }),
      isFar: connection.rttMs > FAR_MS,
    };
  });
  const readers = new Set<Reader>();
  const about = { path, peer: ground.peer };

  /** The one that has come to this offset, unless another segment begins here. */
  function readerAt(offset: number): Reader | undefined {
    if (isFar && offset % SEGMENT_BYTES === 0 && offset > 0) return undefined;
    return [...readers].find((reader) => reader.next === offset && reader.resume());
  }

  async function read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    let reader = readerAt(offset);
    if (reader === undefined) {
      reader = createReader(await ground.pool.lease(signal), { where, offset });
      readers.add(reader);
    }
    try {
      await reader.fill(into, { signal, size: now.size });
    } catch (error) {
      readers.delete(reader);
      throw error;
    }
    if (reader.over) readers.delete(reader);
  }

  return {
    now,
    parallel: true,
    async read(offset, into, given) {
      using signals = either(given, ground.closing);
      try {
        refuseAborted(signals.signal);
        await read(offset, into, signals.signal);
      } catch (error) {
        throw ftpError(error, about);
      }
    },
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

/** One RETR from an offset on. */
interface Reader {
  /** Where the next read of it must begin. */
  readonly next: number;
  /** The file is read to its end, or the reading failed: the connection is given back. */
  readonly over: boolean;
  /** False: its connection was taken away. */
  resume(): boolean;
  fill(into: Uint8Array, options: { readonly signal: AbortSignal; readonly size: number }): Promise<void>;
  breakOff(): Promise<void>;
}

function createReader(lease: Lease, { where, offset }: { where: string; offset: number }): Reader {
  const { connection } = lease;
  const opening = begin(connection, where, offset);
  opening.catch(() => {});
  let next = offset;
  let over = false;
  let busy = 0;
  let chain: Promise<void> = Promise.resolve();

  async function breakOff(): Promise<void> {
    if (over) return;
    over = true;
    const opened = await opening.catch(() => undefined);
    if (opened === undefined) {
      lease.release();
      return;
    }
    opened.data.destroy();
    const settled = opened.final.then(
      () => true,
      () => true,
    );
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, BREAK_OFF_MS, false).unref());
    lease.release({ broken: !(await Promise.race([settled, late])) });
  }

  async function take(into: Uint8Array, signal: AbortSignal, isLast: boolean): Promise<void> {
    try {
      const { pull, final } = await unlessAborted(opening, signal);
      const got = isLast ? pull.fill(into).then(() => pull.end()) : pull.fill(into);
      await unlessAborted(got, signal);
      if (!isLast) return;
      await unlessAborted(final, signal);
      over = true;
      lease.release();
    } catch (error) {
      if (error instanceof Ended) throw await whyEnded(opening);
      throw error;
    }
  }

  return {
    get next() {
      return next;
    },
    get over() {
      return over;
    },
    resume: () => !over && (busy > 0 || lease.unpark()),
    fill(into, { signal, size }) {
      next += into.length;
      busy += 1;
      const isLast = next >= size;
      const mine = chain.then(() => {
        if (over) throw new PbError("connection_lost", "an earlier read of this connection failed");
        return take(into, signal, isLast);
      });
      chain = mine.catch(() => {});
      return mine.then(
        () => {
          busy -= 1;
          if (busy > 0 || over) return;
          connection.control.rest();
          lease.park(breakOff);
        },
        async (error: unknown) => {
          busy -= 1;
          await breakOff();
          throw error;
        },
      );
    },
    breakOff,
  };
}

async function begin(connection: FtpConnection, where: string, offset: number) {
  const before = offset === 0 ? undefined : `REST ${offset}`;
  const { data, final } = await connection.transfer(`RETR ${where}`, before);
  final.catch(() => {});
  const pull: Pull = pullFrom(data, () => connection.control.alive());
  return { data, final, pull };
}

/** A file that has become shorter ends well; a lost connection does not. */
async function whyEnded(opening: ReturnType<typeof begin>): Promise<unknown> {
  const { final } = await opening;
  return final.then(
    () => new PbError("source_changed", "the file has become shorter"),
    (error: unknown) =>
      calls.isRefusal(error)
        ? new PbError("connection_lost", "the server broke off", { cause: error })
        : error,
  );
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
  const opening = begin(connection, where, 0);
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
