/** Reads by ranges, several at once; from a server without ranges one stream, from the beginning. */
import { createHash } from "node:crypto";
import { PbError } from "../../model/error.ts";
import type { ChunkSource, Confirmed, KnownVersion, OpenChunksOptions, WholeRead } from "../chunks.ts";
import { type FillableMemory, rangeBytesOf } from "../fetching.ts";
import { refuseAborted } from "../signals.ts";
import type { SmallAnswer, WebAnswer, WebClient } from "./client.ts";
import { transportError } from "./errors.ts";
import type { Head, Version } from "./head.ts";
import { changed, headOf, sameVersion, versionOf } from "./version.ts";

export async function openSource(
  client: WebClient,
  path: string,
  { known, signal }: OpenChunksOptions,
): Promise<ChunkSource> {
  refuseAborted(signal);
  const recent = client.heads.take(client.urlOf(path).href);
  const head = recent && sameVersion(known, recent) ? recent : await headOf(client, { path, signal });
  if (head.folder) throw new PbError("is_a_directory", "this is a folder", { path, peer: client.peer });
  if (!sameVersion(known, head)) throw changed(client, path);
  const now = { ...head, size: known.size };
  const told = toldOf(known, now);
  return (await givesRanges(client, { path, head, signal }))
    ? ranged(client, { path, now, told })
    : streamed(client, { path, now, told });
}

async function givesRanges(
  client: WebClient,
  { path, head, signal }: { readonly path: string; readonly head: Head; readonly signal: AbortSignal },
): Promise<boolean> {
  if (head.ranges !== undefined) return head.ranges === "yes";
  const answer = await client.send({
    method: "GET",
    path,
    headers: { range: "bytes=0-0" },
    allow: [416],
    signal,
  });
  answer.drop();
  return answer.status === 206;
}

/**
 * To the caller a version has an ETag only if its listing had one: not every server's WebDAV tells what its GET does. Where the listing told no more than
 * a length, it will have all of it when it is asked.
 */
function toldOf(known: KnownVersion, { size, mtimeNs, version }: Version): KnownVersion {
  const wasTold = known.version !== undefined || known.mtimeNs === 0n;
  return { size, mtimeNs, ...(wasTold && version !== undefined ? { version } : {}) };
}

interface Opened {
  readonly path: string;
  readonly now: Version;
  readonly told: KnownVersion;
}

/** Of one request: what it costs, a round trip and often the start of a connection, is spread over so much. */
const RANGE_BYTES = 4 * 1024 * 1024;

function ranged(client: WebClient, { path, now, told }: Opened): ChunkSource {
  return {
    now: told,
    parallel: true,
    gatherBytes: client.fetchRange ? rangeBytesOf(now.size) : RANGE_BYTES,
    read: (offset, into, signal) => readRange(client, { path, now, offset, into, signal }),
    ...(client.fetchRange && {
      readInto: (memory, signal) => readInto(client, { path, now, memory, signal }),
    }),
    // Each read was of this version where the server tells versions; else it is asked once more.
    finish: async (signal) =>
      now.version === undefined && now.modified === undefined
        ? stillThere(client, { path, now, signal })
        : { how: "size" },
    [Symbol.asyncDispose]: async () => {},
  };
}

interface Range {
  readonly path: string;
  readonly now: Version;
  readonly offset: number;
  readonly into: Uint8Array;
  readonly signal: AbortSignal;
}

/** As it is asked for, whatever it goes into. */
type Asked = Omit<Range, "into"> & { readonly into: { readonly length: number } };

/** If-Range takes a strong ETag or a date (RFC 9110 section 13.1.5). */
function ifRange({ version, modified }: Version): Readonly<Record<string, string>> {
  const strong = version !== undefined && !version.startsWith("W/");
  const validator = strong ? version : modified;
  return validator === undefined ? {} : { "if-range": validator };
}

const askedFor = ({ now, offset, into }: Asked) => ({
  range: `bytes=${offset}-${offset + into.length - 1}`,
  ...ifRange(now),
});

async function readRange(client: WebClient, range: Range): Promise<void> {
  const { path, into, signal } = range;
  if (into.length === 0) return;
  let isRange = true;
  try {
    await client.sendSmall({
      method: "GET",
      path,
      headers: askedFor(range),
      place(answer) {
        isRange = answer.status === 206;
        if (!isRange) throw new PbError("unsupported", "no range", { path, peer: client.peer });
        demandRange(client, range, answer);
        return into;
      },
      signal,
    });
  } catch (error) {
    if (isRange) throw error;
    // All of it: another version, or this once no range. What is wanted is in it.
    await readOfWhole(client, range);
  }
}

/** False where the server gives the whole, or cannot be asked in this way: `readRange` finds out which. */
async function readInto(
  client: WebClient,
  { path, now, memory, signal }: Omit<Range, "offset" | "into"> & { readonly memory: FillableMemory },
): Promise<boolean> {
  const range: Asked = { path, now, offset: memory.offset, into: { length: memory.length }, signal };
  const answer = await client.fetchRange?.({
    path,
    headers: askedFor(range),
    memory,
    check: (head) => demandRange(client, range, head),
    signal,
  });
  return answer?.status === 206;
}

/** @throws PbError `source_changed`, `protocol_violation` */
function demandRange(client: WebClient, { path, now, offset, into }: Asked, answer: SmallAnswer): void {
  const last = offset + into.length - 1;
  const [, from, to, total] =
    /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.header("content-range") ?? "") ?? [];
  if (total !== undefined && total !== "*" && Number(total) !== now.size) throw changed(client, path);
  // Its length is the range's, which is compared below.
  if (!sameVersion(now, { ...versionOf(answer), size: -1 })) throw changed(client, path);
  if (Number(from) !== offset || Number(to) !== last)
    throw lied(client, path, "answered another range than was asked for");
}

async function readOfWhole(client: WebClient, range: Range): Promise<void> {
  const { path, now, offset, into, signal } = range;
  const answer = await client.send({ method: "GET", path, headers: askedFor(range), signal });
  const isRange = answer.status === 206;
  try {
    if (isRange) demandRange(client, range, answer);
    else if (!sameVersion(now, versionOf(answer))) throw changed(client, path);
  } catch (error) {
    answer.drop();
    throw error;
  }
  await fill(client, { answer, path, skip: isRange ? 0 : offset, into });
}

function dropped(answer: WebAnswer, error: PbError): PbError {
  answer.drop();
  return error;
}

interface Filling {
  readonly answer: WebAnswer;
  readonly path: string;
  /** Bytes before those that are wanted. */
  readonly skip: number;
  readonly into: Uint8Array;
}

async function fill(client: WebClient, { answer, path, skip, into }: Filling): Promise<void> {
  let at = -skip;
  try {
    for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
      const wanted = at < 0 ? piece.subarray(Math.min(piece.length, -at)) : piece;
      const space = into.length - Math.max(0, at);
      if (wanted.length > space && answer.status === 206) throw lied(client, path, "sent more than it said");
      into.set(wanted.subarray(0, space), Math.max(0, at));
      at += piece.length;
      if (at >= into.length && answer.status !== 206) break;
    }
  } catch (error) {
    throw transportError(error, { path, peer: client.peer });
  }
  if (at < into.length)
    throw new PbError("connection_lost", `${client.peer}: the answer ended early`, {
      path,
      peer: client.peer,
    });
}

/** One GET that is read on; a read elsewhere begins anew. */
function streamed(client: WebClient, { path, now, told }: Opened): ChunkSource {
  let open: { readonly answer: WebAnswer; readonly pieces: AsyncIterator<Uint8Array> } | undefined;
  let at = 0;
  let rest: Uint8Array = new Uint8Array();
  const close = () => {
    open?.answer.drop();
    open = undefined;
    at = 0;
    rest = new Uint8Array();
  };
  const next = async (): Promise<Uint8Array> => {
    const { done, value } = (await open?.pieces.next()) ?? { done: true, value: undefined };
    if (done !== true) return value as Uint8Array;
    throw new PbError("connection_lost", `${client.peer}: the answer ended early`, {
      path,
      peer: client.peer,
    });
  };
  /** Takes bytes up to `end` of the file, giving each piece to `use`. */
  const take = async (end: number, use: (piece: Uint8Array, from: number) => void) => {
    while (at < end) {
      if (rest.length === 0) rest = await next();
      const piece = rest.subarray(0, end - at);
      use(piece, at);
      at += piece.length;
      rest = rest.subarray(piece.length);
    }
  };
  return {
    now: told,
    parallel: false,
    async read(offset, into, signal) {
      if (open === undefined || offset < at) {
        close();
        const answer = await client.send({ method: "GET", path, signal });
        if (!sameVersion(now, versionOf(answer))) throw dropped(answer, changed(client, path));
        open = { answer, pieces: answer.body[Symbol.asyncIterator]() };
      }
      try {
        await take(offset, () => {});
        await take(offset + into.length, (piece, from) => into.set(piece, from - offset));
      } catch (error) {
        close();
        // A file that was cut short in the middle of it looks like a lost connection.
        await stillThere(client, { path, now, signal });
        throw transportError(error, { path, peer: client.peer });
      }
    },
    finish: (signal) => stillThere(client, { path, now, signal }),
    [Symbol.asyncDispose]: async () => close(),
  };
}

interface Checked {
  readonly path: string;
  readonly now: Version;
  readonly signal: AbortSignal;
}

async function stillThere(client: WebClient, { path, now, signal }: Checked): Promise<Confirmed> {
  if (!sameVersion(now, await headOf(client, { path, signal }))) throw changed(client, path);
  return { how: "size" };
}

export async function readWhole(
  client: WebClient,
  { path, into, signal, known: was }: Omit<Range, "now" | "offset"> & { readonly known: KnownVersion },
): Promise<WholeRead> {
  const answer = await client.sendSmall({
    method: "GET",
    path,
    place(head) {
      if (sameVersion({ ...was, size: into.length }, versionOf(head))) return into;
      throw changed(client, path);
    },
    // Without a Content-Length the end is all there is.
    otherLength: () => changed(client, path),
    signal,
  });
  const now = { ...versionOf(answer), size: into.length };
  return { ...toldOf(was, now), confirmed: confirm(client, { path, answer, bytes: () => into }) };
}

/** Past JavaScript. Undefined: not in this way. */
export async function readWholeInto(
  client: WebClient,
  {
    path,
    memory,
    signal,
    known: was,
  }: OpenChunksOptions & { readonly path: string; readonly memory: FillableMemory },
): Promise<WholeRead | undefined> {
  const answer = await client.fetchSmall?.({ path, memory, signal });
  // Of other successes nothing is in the memory.
  if (answer?.status !== 200) return undefined;
  const size = memory.length;
  const now = { ...versionOf(answer), size };
  if (!sameVersion({ ...was, size }, now)) throw changed(client, path);
  return { ...toldOf(was, now), confirmed: confirm(client, { path, answer, bytes: () => memory.bytes() }) };
}

/** A digest that the server sent: Repr-Digest (RFC 9530), Digest (RFC 3230), Content-MD5. @throws PbError `verification_failed` */
function confirm(
  client: WebClient,
  {
    path,
    answer,
    bytes,
  }: { readonly path: string; readonly answer: SmallAnswer; readonly bytes: () => Uint8Array },
): Confirmed {
  const said = digestOf(answer);
  if (said === undefined) return { how: "size" };
  if (createHash(said.algorithm).update(bytes()).digest("base64") === said.base64)
    return { how: "hash", algorithm: said.algorithm };
  throw new PbError(
    "verification_failed",
    `${client.peer}: what came does not have the ${said.algorithm} that the server says`,
    {
      path,
      peer: client.peer,
    },
  );
}

function digestOf(answer: SmallAnswer): { readonly algorithm: string; readonly base64: string } | undefined {
  const repr = /(?:^|[,\s])(sha-256|sha-512)=:([A-Za-z0-9+/=]+):/i.exec(answer.header("repr-digest") ?? "");
  const old = repr ?? /(?:^|[,\s])(sha-256|sha-512)=([A-Za-z0-9+/]+=*)/i.exec(answer.header("digest") ?? "");
  if (old) return { algorithm: (old[1] ?? "").toLowerCase().replace("-", ""), base64: old[2] ?? "" };
  const md5 = answer.header("content-md5");
  return md5 === undefined || !/^[A-Za-z0-9+/]{22}==$/.test(md5)
    ? undefined
    : { algorithm: "md5", base64: md5 };
}

function lied(client: WebClient, path: string, what: string): PbError {
  return new PbError("protocol_violation", `${client.peer}: the server ${what}`, { path, peer: client.peer });
}
