/** The requests of SFTP as calls. All throw `SftpStatus`, or a `PbError` when the session has ended. */

import { PbError } from "../../model/error.ts";
import { refuseAborted, unlessAborted } from "../signals.ts";
import {
  type Attributes,
  encodeAttributes,
  FXP,
  type Named,
  NO_ATTRIBUTES,
  readerOf,
  readNames,
  STATUS,
  text,
  u32,
  u64,
} from "./packets.ts";
import { type Reply, type SftpSession, SftpStatus } from "./session.ts";

export interface Settable {
  readonly mode?: number;
  /** Seconds since 1970; the time of access becomes the same. */
  readonly mtime?: number;
}

export type Handle = Uint8Array;

/** Requests that are out for one folder's listing at once: a round trip each would be slow where each brings a hundred names. */
const READDIR_AHEAD = 4;
/** Of one folder: a server that never comes to an end must not fill the memory. */
const MAX_NAMES = 10_000_000;

export async function open(
  session: SftpSession,
  path: Uint8Array,
  { flags, mode, signal }: { readonly flags: number; readonly mode?: number; readonly signal: AbortSignal },
): Promise<Handle> {
  refuseAborted(signal);
  const attributes = mode === undefined ? NO_ATTRIBUTES : encodeAttributes({ mode });
  const made = session.request(FXP.open, [text(path), u32(flags), attributes]).then(handleOf);
  try {
    return await unlessAborted(made, signal);
  } catch (error) {
    // A handle that nobody closes counts against the server's limit.
    if (signal.aborted) made.then((handle) => close(session, handle)).catch(() => {});
    throw error;
  }
}

/** Not abortable. */
export async function close(session: SftpSession, handle: Handle): Promise<void> {
  await session.request(FXP.close, [text(handle)]);
}

/** `bytes` one after the other, as one request: they are copied before this returns. */
export async function write(
  session: SftpSession,
  handle: Handle,
  {
    offset,
    bytes,
    signal,
  }: { readonly offset: number; readonly bytes: readonly Uint8Array[]; readonly signal: AbortSignal },
): Promise<void> {
  const length = bytes.reduce((sum, each) => sum + each.length, 0);
  await session.request(FXP.write, [text(handle), u64(offset), u32(length), ...bytes], signal);
}

export const lstat = (session: SftpSession, path: Uint8Array, signal: AbortSignal) =>
  attributesOf(session.request(FXP.lstat, [text(path)], signal));

export const stat = (session: SftpSession, path: Uint8Array, signal: AbortSignal) =>
  attributesOf(session.request(FXP.stat, [text(path)], signal));

export const fstat = (session: SftpSession, handle: Handle, signal: AbortSignal) =>
  attributesOf(session.request(FXP.fstat, [text(handle)], signal));

export async function setstat(session: SftpSession, path: Uint8Array, set: Settable, signal: AbortSignal) {
  await session.request(FXP.setstat, [text(path), encodeAttributes(set)], signal);
}

export async function fsetstat(session: SftpSession, handle: Handle, set: Settable, signal: AbortSignal) {
  await session.request(FXP.fsetstat, [text(handle), encodeAttributes(set)], signal);
}

/** All names of a folder, "." and ".." too. */
export async function readFolder(
  session: SftpSession,
  path: Uint8Array,
  signal: AbortSignal,
): Promise<Named[]> {
  const handle = handleOf(await session.request(FXP.opendir, [text(path)], signal));
  const names: Named[] = [];
  const ask = async (): Promise<boolean> => {
    try {
      const { type, body } = await session.request(FXP.readdir, [text(handle)], signal);
      if (type !== FXP.name) throw unfit(type);
      names.push(...readNames(body));
      if (names.length > MAX_NAMES) throw new PbError("resource_exhausted", "the listing does not end");
      return true;
    } catch (error) {
      if (error instanceof SftpStatus && error.status === STATUS.eof) return false;
      throw error;
    }
  };
  const lane = async () => {
    while (await ask());
  };
  try {
    const lanes = await Promise.allSettled(Array.from({ length: READDIR_AHEAD }, lane));
    for (const result of lanes) if (result.status === "rejected") throw result.reason;
    return names;
  } finally {
    close(session, handle).catch(() => {});
  }
}

export async function mkdir(session: SftpSession, path: Uint8Array, signal: AbortSignal): Promise<void> {
  await session.request(FXP.mkdir, [text(path), NO_ATTRIBUTES], signal);
}

export async function removeFile(session: SftpSession, path: Uint8Array, signal: AbortSignal): Promise<void> {
  await session.request(FXP.remove, [text(path)], signal);
}

export async function rmdir(session: SftpSession, path: Uint8Array, signal: AbortSignal): Promise<void> {
  await session.request(FXP.rmdir, [text(path)], signal);
}

export const readLink = (session: SftpSession, path: Uint8Array, signal: AbortSignal) =>
  oneName(session.request(FXP.readlink, [text(path)], signal));

/** `text` first, as OpenSSH has it; needs a server of that order (links.ts). */
export async function symlink(
  session: SftpSession,
  {
    text: target,
    at,
    signal,
  }: { readonly text: Uint8Array; readonly at: Uint8Array; readonly signal: AbortSignal },
): Promise<void> {
  await session.request(FXP.symlink, [text(target), text(at)], signal);
}

export const realPath = (session: SftpSession, path: Uint8Array, signal: AbortSignal) =>
  oneName(session.request(FXP.realpath, [text(path)], signal));

/** Refuses where the new name is there. */
export async function rename(
  session: SftpSession,
  { from, to, signal }: { readonly from: Uint8Array; readonly to: Uint8Array; readonly signal: AbortSignal },
): Promise<void> {
  await session.request(FXP.rename, [text(from), text(to)], signal);
}

export const POSIX_RENAME = "posix-rename@openssh.com";
export const FSYNC = "fsync@openssh.com";
export const STATVFS = "statvfs@openssh.com";
export const LIMITS = "limits@openssh.com";
export const LSETSTAT = "lsetstat@openssh.com";

/** As rename(2): what has the new name is replaced. Needs the extension. */
export async function posixRename(
  session: SftpSession,
  { from, to, signal }: { readonly from: Uint8Array; readonly to: Uint8Array; readonly signal: AbortSignal },
): Promise<void> {
  await session.request(FXP.extended, [text(Buffer.from(POSIX_RENAME)), text(from), text(to)], signal);
}

/** Of a link itself. Needs the extension. */
export async function lsetstat(session: SftpSession, path: Uint8Array, set: Settable, signal: AbortSignal) {
  const fields = [text(Buffer.from(LSETSTAT)), text(path), encodeAttributes(set)];
  await session.request(FXP.extended, fields, signal);
}

/** Needs the extension. */
export async function fsync(session: SftpSession, handle: Handle, signal: AbortSignal): Promise<void> {
  await session.request(FXP.extended, [text(Buffer.from(FSYNC)), text(handle)], signal);
}

/** Bytes that this user may still write there. Needs the extension. */
export async function freeBytes(
  session: SftpSession,
  path: Uint8Array,
  signal: AbortSignal,
): Promise<number> {
  const { body } = await session.request(FXP.extended, [text(Buffer.from(STATVFS)), text(path)], signal);
  const reader = readerOf(body);
  reader.u64();
  const fragment = reader.u64();
  for (let skipped = 0; skipped < 2; skipped += 1) reader.u64();
  return fragment * reader.u64();
}

/** The most bytes of one read and one write; 0 where the server sets no bound. Needs the extension. */
export async function limits(
  session: SftpSession,
): Promise<{ readonly read: number; readonly write: number }> {
  const { body } = await session.request(FXP.extended, [text(Buffer.from(LIMITS))]);
  const reader = readerOf(body);
  reader.u64();
  return { read: reader.u64(), write: reader.u64() };
}

function handleOf({ type, body }: Reply): Handle {
  if (type !== FXP.handle) throw unfit(type);
  return Buffer.from(readerOf(body).text());
}

async function attributesOf(reply: Promise<Reply>): Promise<Attributes> {
  const { type, body } = await reply;
  if (type !== FXP.attrs) throw unfit(type);
  return readerOf(body).attributes();
}

async function oneName(reply: Promise<Reply>): Promise<Uint8Array> {
  const { type, body } = await reply;
  if (type !== FXP.name) throw unfit(type);
  const [only, ...more] = readNames(body);
  if (only === undefined || more.length > 0) throw unfit(type);
  return only.name;
}

const unfit = (type: number) =>
  new PbError(
    "protocol_violation",
    `the SFTP server answered with ${type}, which does not fit what was asked`,
  );
