/** What servers write for a folder: the machine's form (RFC 3659 section 7), that of `ls -l`, and that of DOS. Text is latin1. */

import { type Entry, type EntryKind, untold } from "../../model/entry.ts";
import { pathText } from "../../model/path.ts";

/** Of a line that is none of these forms: undefined. */
export type ListedLine = Entry | undefined;

/** Lines end with CR LF; a name may hold a lone LF. Servers that end them with LF alone have no such names. */
export function listedLines(data: string): string[] {
  const lines = data.split(data.includes("\r\n") ? "\r\n" : "\n");
  return lines.filter((line) => line !== "");
}

/** Bytes as latin1 text, as `PathText`. */
export function nameOf(latin1: string): string {
  return pathText(Buffer.from(latin1, "latin1"));
}

/** "modify=20260101000000;type=file;size=5; name". "cdir" and "pdir" have the names "." and "..". */
export function machineLine(line: string): ListedLine {
  const space = line.indexOf(" ");
  if (space < 0) return undefined;
  const facts = new Map(
    line
      .slice(0, space)
      .split(";")
      .map((fact) => {
        const at = fact.indexOf("=");
        return [fact.slice(0, at).toLowerCase(), fact.slice(at + 1)] as const;
      }),
  );
  const type = facts.get("type")?.toLowerCase();
  if (type === undefined) return undefined;
  const name = nameOf(line.slice(space + 1));
  const path = type === "cdir" ? "." : type === "pdir" ? ".." : name;
  const kind = machineKind(type);
  const link = /^os\.unix=slink:(.+)$/i.exec(facts.get("type") ?? "")?.[1];
  return entry({
    path,
    kind,
    size: Number(facts.get("size") ?? 0),
    mtimeNs: timeOf(facts.get("modify") ?? "") ?? 0n,
    mode: modeOfFact(facts.get("unix.mode")),
    ...ownerOf(
      facts.get("unix.uid") ?? facts.get("unix.owner"),
      facts.get("unix.gid") ?? facts.get("unix.group"),
    ),
    ...(link === undefined ? {} : { linkTarget: nameOf(link) }),
  });
}

function machineKind(type: string): EntryKind {
  if (type === "file") return "file";
  if (type === "dir" || type === "cdir" || type === "pdir") return "directory";
  return /^os\.unix=(slink|symlink)/.test(type) ? "symlink" : "other";
}

const UNIX =
  /^([-bcdlps])([-rwxsStT]{9})[.+@]?\s+\d+\s+(\S+)\s+(\S+)\s+(?:\d+,\s*)?(\d+)\s+([A-Za-z]{3})\s+(\d{1,2})\s+(\d{1,2}:\d{2}|\d{4}) (.*)$/s;

/** One space before the name; all that follows belongs to it. Times are the server's own, to the minute or the day. */
export function unixLine(line: string, now = new Date()): ListedLine {
  const match = UNIX.exec(line);
  if (match === null) return undefined;
  const [, letter = "", bits = "", owner, group, size = "0", month = "", day = "", when = "", rest = ""] =
    match;
  const kind = KINDS[letter] ?? "other";
  const { name, target } =
    kind === "symlink" ? splitLink(rest, Number(size)) : { name: rest, target: undefined };
  return entry({
    path: nameOf(name),
    kind,
    size: Number(size),
    mtimeNs: unixTime({ month, day, when }, now),
    mode: modeOfBits(bits),
    ...ownerOf(owner, group),
    ...(target === undefined ? {} : { linkTarget: nameOf(target) }),
  });
}

const DOS = /^(\d{2})-(\d{2})-(\d{2}|\d{4})\s+(\d{1,2}):(\d{2})(AM|PM)?\s+(<DIR>|\d+)\s+(.*)$/is;

export function dosLine(line: string): ListedLine {
  const match = DOS.exec(line);
  if (match === null) return undefined;
  const [, month = "", day = "", year = "", hour = "", minute = "", half = "", size = "", name = ""] = match;
  const isFolder = size.toUpperCase() === "<DIR>";
  const hours = (Number(hour) % 12) + (half.toUpperCase() === "PM" ? 12 : 0);
  const full = year.length === 4 ? Number(year) : Number(year) + (Number(year) < 70 ? 2_000 : 1_900);
  const at = Date.UTC(
    full,
    Number(month) - 1,
    Number(day),
    half === "" ? Number(hour) : hours,
    Number(minute),
  );
  return entry({
    path: nameOf(name),
    kind: isFolder ? "directory" : "file",
    size: isFolder ? 0 : Number(size),
    mtimeNs: BigInt(at) * 1_000_000n,
    mode: undefined,
    ...ownerOf(undefined, undefined),
  });
}

const KINDS: Readonly<Record<string, EntryKind>> = { "-": "file", d: "directory", l: "symlink" };

/** A name may hold " -> " too: the size of a link is the length of its target. */
function splitLink(text: string, size: number): { name: string; target: string | undefined } {
  const arrow = " -> ";
  const bySize = text.length - size - arrow.length;
  const fits = size > 0 && bySize > 0 && text.startsWith(arrow, bySize);
  const at = fits ? bySize : text.indexOf(arrow);
  return at < 0
    ? { name: text, target: undefined }
    : { name: text.slice(0, at), target: text.slice(at + arrow.length) };
}

const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");

/** Without a year it is within the last twelve months; a clock that differs by a day is no reason for next year. */
function unixTime({ month, day, when }: { month: string; day: string; when: string }, now: Date): bigint {
  const index = MONTHS.indexOf(month.toLowerCase());
  if (index < 0) return 0n;
  if (!when.includes(":")) return BigInt(Date.UTC(Number(when), index, Number(day))) * 1_000_000n;
  const [hour, minute] = when.split(":").map(Number);
  const at = (year: number) => Date.UTC(year, index, Number(day), hour, minute);
  const thisYear = at(now.getUTCFullYear());
  const isAhead = thisYear > now.getTime() + 86_400_000;
  return BigInt(isAhead ? at(now.getUTCFullYear() - 1) : thisYear) * 1_000_000n;
}

/** "YYYYMMDDHHMMSS[.sss]", in UTC (RFC 3659 section 2.3); undefined for anything else. */
export function timeOf(text: string): bigint | undefined {
  const match = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (match === null) return undefined;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const seconds = BigInt(Date.UTC(year, month - 1, day, hour, minute, second)) * 1_000_000n;
  return seconds + BigInt((match[7] ?? "").padEnd(9, "0"));
}

/** For MFMT and MDTM; undefined where four digits of a year do not do. */
export function timeText(mtimeNs: bigint): string | undefined {
  const ms = Number(mtimeNs / 1_000_000n);
  if (mtimeNs < 0n || ms > Date.UTC(9999, 11, 31)) return undefined;
  return new Date(ms).toISOString().replace(/[-:T]|\..*$/g, "");
}

function modeOfFact(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-7]{3,5}$/.test(text) ? Number.parseInt(text, 8) & 0o7777 : undefined;
}

/** "rwsr-xr-t". */
function modeOfBits(bits: string): number {
  let mode = 0;
  for (const [at, bit] of [...bits].entries()) {
    if (bit !== "-" && bit !== "S" && bit !== "T") mode |= 0o400 >> at;
    if (/[sStT]/.test(bit)) mode |= 0o4000 >> Math.floor(at / 3);
  }
  return mode;
}

/** 32 bits. */
const MAX_ID = 0xffff_ffff;

/** Names of owners say nothing here. */
function ownerOf(owner: string | undefined, group: string | undefined) {
  const [uid = -1, gid = -1] = [owner, group].map((text) =>
    /^\d{1,10}$/.test(text ?? "") ? Number(text) : -1,
  );
  const isKnown = uid >= 0 && gid >= 0 && Math.max(uid, gid) <= MAX_ID;
  return isKnown ? { uid, gid } : ({ uid: 0, gid: 0, ownerUnknown: true } as const);
}

function entry(found: Omit<Entry, "mode"> & { readonly mode: number | undefined }): Entry {
  const size = found.kind === "file" && Number.isSafeInteger(found.size) ? found.size : 0;
  if (found.mode !== undefined) return { ...found, size, mode: found.mode };
  const { mode, modeUnknown } = untold(found.kind === "directory" ? "directory" : "file");
  return { ...found, size, mode, modeUnknown };
}
