/** Directory indexes: the HTML of nginx, Apache, lighttpd, Python and others, which are links; the JSON of nginx and Caddy. */
import { childOf, encodeSegment } from "../web/path.ts";

export interface IndexEntry {
  readonly name: string;
  /** The link ends with a slash. */
  readonly folder: boolean;
}

/**
 * What is right in the folder. Links elsewhere (up, sort orders, other sites) are no content; of a name that is listed twice, the first counts.
 *
 * @param folder the page's URL, ending with a slash
 */
export function entriesOf(
  page: string,
  { folder, type }: { readonly folder: URL; readonly type: string },
): readonly IndexEntry[] {
  const links = type === "application/json" ? jsonLinks(page) : htmlLinks(page);
  const found = new Map<string, IndexEntry>();
  for (const link of links) {
    const child = childOf(folder, link);
    if (child && !found.has(child.name)) found.set(child.name, { name: child.name, folder: child.slash });
  }
  return [...found.values()];
}

const LINK = /<a\b[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi;

function htmlLinks(page: string): string[] {
  return [...page.matchAll(LINK)].map((match) => unescapeHtml(match[1] ?? match[2] ?? match[3] ?? ""));
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeHtml(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return NAMED[String(name).toLowerCase()] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** nginx: `[{name, type: "directory"}]`; Caddy: `[{name, is_dir}]`. */
function jsonLinks(page: string): string[] {
  let listed: unknown;
  try {
    listed = JSON.parse(page);
  } catch {
    return [];
  }
  if (!Array.isArray(listed)) return [];
  return listed.flatMap((one: unknown) => {
    const { name, type, is_dir } = (one ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof name !== "string") return [];
    const folder = type === "directory" || is_dir === true;
    return [`./${encodeSegment(name.replace(/\/$/, ""))}${folder ? "/" : ""}`];
  });
}
