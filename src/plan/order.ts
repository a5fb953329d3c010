import { pathBytes } from "../model/path.ts";

/** Is `path` inside the folder `directory`? "" holds everything. */
export function isBelow(path: string, directory: string): boolean {
  return directory === "" ? path !== "" : path.startsWith(`${directory}/`);
}

/**
 * The order of listings: a folder before its content, names of one folder by their bytes. Negative when `a` comes first.
 * UTF-16 order differs from byte order above U+FFFF and for escaped bytes, so names that differ there are compared as bytes.
 */
export function compareListed(a: string, b: string): number {
  const left = a.split("/");
  const right = b.split("/");
  for (let depth = 0; ; depth += 1) {
    const one = left[depth];
    const two = right[depth];
    if (one === undefined || two === undefined) return left.length - right.length;
    if (one !== two) return compareNames(one, two);
  }
}

/** No byte of a name in this range sorts differently as UTF-16. */
const PLAIN = /^[\0-\ud7ff]*$/;

function compareNames(a: string, b: string): number {
  if (PLAIN.test(a) && PLAIN.test(b)) return a < b ? -1 : 1;
  return Buffer.compare(pathBytes(a), pathBytes(b));
}

/** The paths in listing order without those that lie below another of them; each once. */
export function coverOf(paths: readonly string[]): string[] {
  const cover: string[] = [];
  for (const path of [...new Set(paths.map(trimSlashes))].sort(compareListed)) {
    const last = cover.at(-1);
    if (last === undefined || (path !== last && !isBelow(path, last))) cover.push(path);
  }
  return cover;
}

function trimSlashes(path: string): string {
  return path.replace(/^(\.?\/+)+/, "").replace(/\/+$/, "");
}

/** The folders above `path`, the outermost first, without "". */
export function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) parents.push(path.slice(0, at));
  return parents;
}
