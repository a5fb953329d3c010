/** The commands of FTP as calls. Paths are those of the server, as latin1 text. All throw `FtpRefusal`, or a `PbError` when the connection has ended. */

import { type Entry, untold } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { pathBytes } from "../../model/path.ts";
import type { FtpConnection } from "./connection.ts";
import { FtpRefusal } from "./control.ts";
import { dosLine, type ListedLine, listedLines, machineLine, timeOf, timeText, unixLine } from "./listing.ts";

/** Of one folder: a server that never comes to an end must not fill the memory. */
const MAX_LISTING_BYTES = 1024 * 1024 * 1024;
/** Questions about files of one folder that are out at once. */
const QUESTIONS = 64;

export const isRefusal = (error: unknown): error is FtpRefusal => error instanceof FtpRefusal;

/** What `promise` gives, or undefined where the server refuses. */
export async function unlessRefused<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

/** What is there, links followed; undefined: nothing that this user may see. */
export async function statPath(connection: FtpConnection, where: string): Promise<Entry | undefined> {
  const { control, features } = connection;
  if (features.has("MLST")) {
    const reply = await unlessRefused(control.send(`MLST ${where}`));
    const line = reply?.lines.at(1)?.replace(/^ /, "");
    const entry = line === undefined ? undefined : machineLine(line);
    if (reply !== undefined && entry === undefined)
      throw new PbError("protocol_violation", "the server answered MLST with what is no fact");
    return entry && { ...entry, path: "" };
  }
  const [size, time] = await versionOf(connection, where);
  if (size !== undefined) return plainEntry("file", size, time ?? 0n);
  const isFolder = await unlessRefused(control.send(`CWD ${where}`));
  return isFolder && plainEntry("directory", 0, 0n);
}

function plainEntry(kind: "file" | "directory", size: number, mtimeNs: bigint): Entry {
  return { path: "", kind, size, mtimeNs, ...untold(kind) };
}

/** Size and time of a file, both asked for at once; undefined where the server does not say it (a folder, nothing). */
export function versionOf(
  connection: FtpConnection,
  where: string,
): Promise<[size: number | undefined, mtimeNs: bigint | undefined]> {
  const size = sizeOf(connection, where);
  const asked = unlessRefused(connection.control.send(`MDTM ${where}`));
  return Promise.all([size, asked.then((reply) => timeOf(reply?.lines[0] ?? ""))]);
}

/** Undefined where the server does not say it (a folder, nothing). */
export async function sizeOf({ control }: FtpConnection, where: string): Promise<number | undefined> {
  const reply = await unlessRefused(control.send(`SIZE ${where}`));
  const bytes = Number(/^\d+/.exec(reply?.lines[0] ?? "")?.[0] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A folder's entries, "." and ".." too. Lines that are no entry are `errors`. */
export async function readFolder(
  connection: FtpConnection,
  where: string,
): Promise<{ readonly entries: Entry[]; readonly unread: number }> {
  if (!connection.features.has("MLST")) return listed(connection, where);
  const found = parsed(await fetchList(connection, `MLSD ${where}`), machineLine);
  const lacking = found.entries.some(
    ({ kind, linkTarget }) => kind === "symlink" && linkTarget === undefined,
  );
  if (!lacking) return found;
  // The machine's form does not say where a link leads; that for people does.
  await connection.control.send(`CWD ${where}`);
  const { entries } = parsed(await fetchList(connection, "LIST -a"), unixLine);
  const targets = new Map(entries.map(({ path, linkTarget }) => [path, linkTarget]));
  const whole = found.entries.map((entry): Entry => {
    const linkTarget = entry.kind === "symlink" ? (entry.linkTarget ?? targets.get(entry.path)) : undefined;
    if (entry.kind !== "symlink") return entry;
    return linkTarget === undefined ? { ...entry, kind: "other" } : { ...entry, linkTarget };
  });
  return { entries: whole, unread: found.unread };
}

/** Without MLSD: times of `LIST` are to the minute, in a zone that nobody tells, so each file's is asked for. */
async function listed(
  connection: FtpConnection,
  where: string,
): Promise<{ entries: Entry[]; unread: number }> {
  // LIST takes its argument for a pattern, and some of it for options.
  await connection.control.send(`CWD ${where}`);
  const { entries, unread } = parsed(
    await fetchList(connection, "LIST -a"),
    (line) => unixLine(line) ?? dosLine(line),
  );
  if (!connection.features.has("MDTM")) return { entries, unread };
  const exact: Entry[] = [];
  for (let at = 0; at < entries.length; at += QUESTIONS) {
    const some = entries.slice(at, at + QUESTIONS).map(async (entry) => {
      const name = Buffer.from(pathBytes(entry.path)).toString("latin1");
      // What no command can name keeps the time of the listing.
      if (entry.kind !== "file" || /[\r\n\u00ff]/.test(name)) return entry;
      const reply = await unlessRefused(connection.control.send(`MDTM ${name}`));
      const mtimeNs = timeOf(reply?.lines[0] ?? "");
      return mtimeNs === undefined ? entry : { ...entry, mtimeNs };
    });
    exact.push(...(await Promise.all(some)));
  }
  return { entries: exact, unread };
}

function parsed(data: string, parse: (line: string) => ListedLine): { entries: Entry[]; unread: number } {
  const lines = listedLines(data).filter((line) => !/^total \d+$/.test(line));
  const entries = lines.map(parse).filter((entry) => entry !== undefined);
  return { entries, unread: lines.length - entries.length };
}

async function fetchList(connection: FtpConnection, command: string): Promise<string> {
  const { data, final } = await connection.transfer(command);
  final.catch(() => {});
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of data) {
      connection.control.alive();
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes > MAX_LISTING_BYTES) throw new PbError("resource_exhausted", "the listing does not end");
    }
  } catch (cause) {
    if (cause instanceof PbError) throw cause;
    throw new PbError("connection_lost", "the data connection ended too early", { cause });
  }
  await final;
  return Buffer.concat(chunks).toString("latin1");
}

/** True when the server has taken it. */
export async function setTime(connection: FtpConnection, where: string, mtimeNs: bigint): Promise<boolean> {
  const text = timeText(mtimeNs);
  if (text === undefined) return false;
  if (connection.features.has("MFMT"))
    return (await unlessRefused(connection.control.send(`MFMT ${text} ${where}`))) !== undefined;
  // Not in any RFC, and understood by many (vsftpd, Serv-U): others answer for a file with a name that begins with the time.
  return (await unlessRefused(connection.control.send(`MDTM ${text} ${where}`))) !== undefined;
}

/** Both commands at once: the second waits at the server for the first. */
export async function renamePath({ control }: FtpConnection, from: string, to: string): Promise<void> {
  const asked = control.send(`RNFR ${from}`);
  const done = control.send(`RNTO ${to}`);
  const [first, second] = await Promise.allSettled([asked, done]);
  if (first.status === "rejected") throw first.reason;
  if (second.status === "rejected") throw second.reason;
}
