/** Directory indexes: the HTML of nginx, Apache, lighttpd, Python and others, which are links; the JSON of nginx and Caddy. */
import { childOf, encodeSegment } from "../web/path.ts";

export interface IndexEntry {
  readonly name: string;
  /** The link ends with a slash. */
  readonly folder: boolean;
  /** In bytes, where the index tells it so. */
  readonly size?: number;
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
  for (const { href, size } of links) {
    const child = childOf(folder, href);
    if (child && !found.has(child.name)) found.set(child.name, entryOf(child, size));
  }
  return [...found.values()];
}

const entryOf = ({ name, slash }: { readonly name: string; readonly slash: boolean }, size?: number) => ({
  name,
  folder: slash,
  ...(slash || size === undefined ? {} : { size }),
});

interface Link {
  readonly href: string;
  readonly size?: number;
}

const LINK = /<a\b[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi;
/** What nginx writes behind a link: `name</a>   23-Nov-2026 10:26    12345`. Others round, or may. */
const SIZE = /^[^<>]*>[^<>]*<\/a> +\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d +(\d{1,15})\r?$/m;

function htmlLinks(page: string): Link[] {
  return [...page.matchAll(LINK)].map((match) => {
    const href = unescapeHtml(match[1] ?? match[2] ?? match[3] ?? "");
    const from = match.index + match[0].length;
    const end = page.indexOf("\n", from);
    const size = SIZE.exec(page.slice(from, end < 0 ? undefined : end))?.[1];
    return size === undefined ? { href } : { href, size: Number(size) };
  });
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
function jsonLinks(page: string): Link[] {
  let listed: unknown;
  try {
    listed = JSON.parse(page);
  } catch {
    return [];
  }
  if (!Array.isArray(listed)) return [];
  return listed.flatMap((one: unknown) => {
    const { name, type, is_dir, size } = (one ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof name !== "string") return [];
    const folder = type === "directory" || is_dir === true;
    const href = `./${encodeSegment(name.replace(/\/$/, ""))}${folder ? "/" : ""}`;
    return Number.isSafeInteger(size) && Number(size) >= 0 ? [{ href, size: Number(size) }] : [{ href }];
  });
}
