/** Paths of the contract as paths of URLs. A URL's path is percent-encoded bytes (RFC 3986), so that any name has a form. */
import { pathBytes, pathText } from "../../model/path.ts";
import { componentsBelow, type NameBounds } from "../path.ts";

const BOUNDS: NameBounds = { componentBytes: 255, pathBytes: 4_095, anyBytes: true };

/** Unreserved characters (RFC 3986 section 2.3). */
const PLAIN = /^[A-Za-z0-9\-._~]*$/;

/** A name in the folder itself, as nearly all links of an index are: no scheme, no path, neither "." nor "..". */
const PLAIN_LINK = /^[A-Za-z0-9_~-][A-Za-z0-9\-._~]*\/?$/;

/** @throws PbError `path_escapes`, `invalid_path` */
export function componentsOf(path: string): readonly string[] {
  return componentsBelow(path, BOUNDS);
}

/** One name as a segment. */
export function encodeSegment(name: string): string {
  if (PLAIN.test(name)) return name;
  let out = "";
  for (const byte of pathBytes(name)) {
    const char = String.fromCharCode(byte);
    out += PLAIN.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** A segment as a name; undefined when its escapes are no bytes. */
export function decodeSegment(segment: string): string | undefined {
  if (PLAIN.test(segment)) return segment;
  if (/%(?![0-9A-Fa-f]{2})/.test(segment)) return undefined;
  const raw = Buffer.from(segment, "utf8");
  const bytes = Buffer.alloc(raw.length);
  let length = 0;
  for (let at = 0; at < raw.length; at += 1, length += 1) {
    const escaped = raw[at] === 0x25;
    bytes[length] = escaped ? Number.parseInt(raw.toString("latin1", at + 1, at + 3), 16) : (raw[at] ?? 0);
    if (escaped) at += 2;
  }
  return pathText(bytes.subarray(0, length));
}

/**
 * The name that a link in a folder's page stands for, when it is right in that folder: "name", or "name/" for a folder.
 *
 * @param folder the folder's URL, ending with a slash
 */
export function childOf(
  folder: URL,
  href: string,
): { readonly name: string; readonly slash: boolean } | undefined {
  if (PLAIN_LINK.test(href)) return { name: href.replace("/", ""), slash: href.endsWith("/") };
  // The URL standard takes a backslash for a slash; servers write it as it is in a name.
  const link = href.replaceAll("\\", "%5C");
  if (!URL.canParse(link, folder.href)) return undefined;
  const url = new URL(link, folder);
  if (url.origin !== folder.origin || url.search !== "") return undefined;
  const above = folder.pathname.split("/").slice(0, -1);
  const segments = url.pathname.split("/");
  const slash = segments.at(-1) === "";
  if (slash) segments.pop();
  const last = segments.pop() ?? "";
  // Which characters are escaped is a server's choice.
  const same = (segment: string, index: number) =>
    decodeSegment(segment) === decodeSegment(segments[index] ?? "");
  if (segments.length !== above.length || !above.every(same)) return undefined;
  const name = decodeSegment(last);
  // A name that is no name (an encoded slash, "..") is left to the caller, who says so.
  return name === undefined || name === "" ? undefined : { name, slash };
}
