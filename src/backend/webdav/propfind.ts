/** PROPFIND (RFC 4918 section 9.1): what a server says of a thing and of what is right in it. */
import { XMLParser } from "fast-xml-parser";
import { type Entry, untold } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { joinPath } from "../../model/path.ts";
import { listedName } from "../path.ts";
import type { Folder } from "../walk.ts";
import type { WebClient } from "../web/client.ts";
import type { Asked } from "../web/listing.ts";
import { childOf, decodeSegment } from "../web/path.ts";
import { dateNs } from "../web/version.ts";

const BODY =
  '<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>';

const parser = new XMLParser({
  // Servers choose their own prefixes.
  removeNSPrefix: true,
  ignoreAttributes: true,
  // A length and an ETag of digits are text.
  parseTagValue: false,
  isArray: (name) => name === "response" || name === "propstat",
});

interface Resource {
  readonly href: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

interface Found {
  readonly resources: readonly Resource[];
  /** Of what was asked, after redirects; ends with a slash. */
  readonly url: URL;
}

/** @throws PbError `not_found`, `protocol_violation` for an answer that is none */
async function propfind(client: WebClient, { path, signal }: Asked, depth: 0 | 1): Promise<Found> {
  const answer = await client.send({
    method: "PROPFIND",
    path,
    folder: depth === 1,
    headers: { depth: String(depth), "content-type": "application/xml; charset=utf-8" },
    body: BODY,
    signal,
  });
  const text = await answer.text();
  const resources = answer.status === 207 ? resourcesOf(text) : undefined;
  if (resources === undefined)
    throw new PbError("protocol_violation", `${client.peer}: the answer to PROPFIND is not WebDAV's`, {
      path,
      peer: client.peer,
      hint: "is this a folder of a WebDAV server? Its address often has a path of its own",
    });
  const url = new URL(answer.url);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return { resources, url };
}

/** Undefined for what is no multistatus. A DTD, which WebDAV never needs, is refused: its entities could be anything. */
export function resourcesOf(text: string): readonly Resource[] | undefined {
  if (text.includes("<!DOCTYPE") || text.includes("<!ENTITY")) return undefined;
  let document: { readonly multistatus?: unknown };
  try {
    document = parser.parse(text) as typeof document;
  } catch {
    return undefined;
  }
  if (!("multistatus" in document)) return undefined;
  const { response } = object(document.multistatus);
  return (Array.isArray(response) ? response : []).map((one: unknown) => {
    const { href, propstat } = object(one);
    const stats = (Array.isArray(propstat) ? propstat : []).map(object);
    // A property that is not there has a status of its own.
    const good = stats.filter(({ status }) => status === undefined || / 200( |$)/.test(String(status)));
    return {
      href: String(href ?? "").trim(),
      properties: Object.assign({}, ...good.map(({ prop }) => object(prop))),
    };
  });
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** @throws PbError `not_found` */
export async function entryAt(client: WebClient, asked: Asked): Promise<Entry> {
  const { resources } = await propfind(client, asked, 0);
  const [only] = resources;
  if (only) return entryOf("", only.properties);
  throw new PbError("protocol_violation", `${client.peer}: the answer to PROPFIND is empty`, {
    path: asked.path,
    peer: client.peer,
  });
}

/** @param at relative to what is listed, which is at `asked.path` */
export async function readFolder(client: WebClient, at: string, asked: Asked): Promise<Folder> {
  const path = joinPath(asked.path, at);
  const { resources, url } = await propfind(client, { path, signal: asked.signal }, 1);
  const entries = new Map<string, Entry>();
  const errors: PbError[] = [];
  for (const { href, properties } of resources) {
    const child = childOf(url, href);
    if (child === undefined) {
      if (!isItself(url, href)) errors.push(strayed(client, path, href));
      continue;
    }
    try {
      const name = listedName(child.name, path);
      entries.set(name, entryOf(joinPath(at, name), properties));
    } catch (error) {
      errors.push(PbError.from(error));
    }
  }
  return { entries: [...entries.values()], errors };
}

function isItself(url: URL, href: string): boolean {
  if (!URL.canParse(href, url.href)) return false;
  const segments = ({ pathname }: URL) => pathname.split("/").map(decodeSegment).join("/").replace(/\/$/, "");
  return segments(new URL(href, url)) === segments(url);
}

function strayed({ peer }: WebClient, path: string, href: string): PbError {
  return new PbError(
    "path_escapes",
    `${peer}: the server listed ${JSON.stringify(href)}, which is not in this folder`,
    { path, peer },
  );
}

function entryOf(path: string, properties: Readonly<Record<string, unknown>>): Entry {
  const { getcontentlength, getlastmodified, getetag, resourcetype } = properties;
  const folder = "collection" in object(resourcetype);
  const length = Number(getcontentlength ?? 0);
  const version = typeof getetag === "string" && getetag !== "" && !folder ? { version: getetag } : {};
  return {
    path,
    kind: folder ? "directory" : "file",
    size: folder || !Number.isSafeInteger(length) || length < 0 ? 0 : length,
    mtimeNs: dateNs(typeof getlastmodified === "string" ? getlastmodified : undefined),
    ...untold(folder ? "directory" : "file"),
    ...version,
  };
}
