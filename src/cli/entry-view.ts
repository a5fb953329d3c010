import { type Entry, EntryKind } from "../gen/packetboat/v1/types_pb.ts";
import { displayPath, pathText } from "../model/path.ts";
import type { Colors } from "./output.ts";
import { padStart } from "./render/text.ts";
import { formatBytesShort } from "./render/units.ts";

const KINDS: Readonly<Record<EntryKind, { readonly name: string; readonly letter: string }>> = {
  [EntryKind.UNSPECIFIED]: { name: "other", letter: "?" },
  [EntryKind.FILE]: { name: "file", letter: "-" },
  [EntryKind.DIRECTORY]: { name: "directory", letter: "d" },
  [EntryKind.SYMLINK]: { name: "symlink", letter: "l" },
  [EntryKind.OTHER]: { name: "other", letter: "o" },
};

export function kindName(kind: EntryKind): string {
  return KINDS[kind].name;
}

/** For programs; what the endpoint does not tell is absent. `path` is `PathText`: a byte that is not UTF-8 is the lone surrogate U+DC80..U+DCFF (surrogateescape). */
export function entryRecord(entry: Entry, path: string): Record<string, unknown> {
  return {
    path,
    kind: kindName(entry.kind),
    size: Number(entry.size),
    ...(!isTimeUnknown(entry) && { mtime: isoNs(entry.mtimeNs) }),
    ...(!entry.modeUnknown && { mode: octal(entry.mode) }),
    ...(!entry.ownerUnknown && { uid: entry.uid, gid: entry.gid }),
    ...(entry.kind === EntryKind.SYMLINK && { linkTarget: pathText(entry.linkTarget) }),
    ...(entry.inode !== 0n && { inode: String(entry.inode), device: String(entry.device) }),
  };
}

/** Some endpoints make folders up for what is below, and tell no time of a file. */
export function isTimeUnknown({ mtimeNs, modeUnknown, ownerUnknown }: Entry): boolean {
  return mtimeNs === 0n && (modeUnknown || ownerUnknown);
}

/** `0644` */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** ISO 8601 in UTC with nanoseconds. */
export function isoNs(ns: bigint): string {
  const second = 1_000_000_000n;
  const fraction = ((ns % second) + second) % second;
  const seconds = Number((ns - fraction) / second);
  const whole = new Date(seconds * 1000);
  // Outside of what a Date holds (years beyond 271821) only the number is true.
  if (Number.isNaN(whole.getTime())) return `@${ns}`;
  return `${whole.toISOString().slice(0, -5)}.${String(fraction).padStart(9, "0")}Z`;
}

/** Of `2026-01-31 12:00`. */
const TIME_COLUMNS = 16;

/** `2026-01-31 12:00`, local time: for people. */
function localTime(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000n));
  if (Number.isNaN(date.getTime())) return "?".padEnd(TIME_COLUMNS);
  const pad = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

/** As `ls -l` writes it; `-?????????` where the endpoint tells no mode. */
export function modeText({ kind, mode, modeUnknown }: Pick<Entry, "kind" | "mode" | "modeUnknown">): string {
  if (modeUnknown) return KINDS[kind].letter + "?".repeat(9);
  const bits = [0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001];
  const text = bits.map((bit, at) => (mode & bit ? "rwx"[at % 3] : "-"));
  const special = (bit: number, at: number, letter: string) => {
    if (mode & bit) text[at] = text[at] === "x" ? letter : letter.toUpperCase();
  };
  special(0o4000, 2, "s");
  special(0o2000, 5, "s");
  special(0o1000, 8, "t");
  return KINDS[kind].letter + text.join("");
}

/** Digits of the largest size that still lines up: 1 TiB less a byte. */
const SIZE_COLUMNS = 13;
const HUMAN_COLUMNS = 5;

/** One line: mode, size, time, name. Streams: columns have fixed widths. */
export function longLine(
  entry: Entry,
  path: string,
  look: { readonly human: boolean; readonly colors: Colors },
): string {
  const size = look.human
    ? padStart(formatBytesShort(Number(entry.size)), HUMAN_COLUMNS)
    : padStart(String(entry.size), SIZE_COLUMNS);
  const name = coloredName(entry, path, look.colors);
  const target = entry.kind === EntryKind.SYMLINK ? ` -> ${displayPath(pathText(entry.linkTarget))}` : "";
  const time = isTimeUnknown(entry) ? "-".padEnd(TIME_COLUMNS) : localTime(entry.mtimeNs);
  return `${modeText(entry)}  ${size}  ${time}  ${name}${target}`;
}

/** The name alone; a folder's ends with a slash. */
export function shortLine(entry: Entry, path: string, colors: Colors): string {
  return coloredName(entry, path, colors) + (entry.kind === EntryKind.DIRECTORY ? "/" : "");
}

function coloredName(entry: Entry, path: string, colors: Colors): string {
  const safe = displayPath(path);
  if (entry.kind === EntryKind.DIRECTORY) return colors.bold(colors.blue(safe));
  if (entry.kind === EntryKind.SYMLINK) return colors.cyan(safe);
  if (entry.kind === EntryKind.FILE && !entry.modeUnknown && (entry.mode & 0o111) !== 0)
    return colors.green(safe);
  return safe;
}
