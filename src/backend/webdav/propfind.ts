/** PROPFIND (RFC 4918 section 9.1): what a server says of a thing and of what is right in it. */
import { type Entry, untold } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { joinPath } from "../../model/path.ts";
import { listedName } from "../path.ts";
import type { Folder } from "../walk.ts";
import type { WebAnswer, WebClient } from "../web/client.ts";
import type { Asked } from "../web/listing.ts";
import { childOf, decodeSegment } from "../web/path.ts";
import { dateNs } from "../web/version.ts";
import { NoMultistatus, type Resource, readMultistatus } from "./multistatus.ts";

const BODY =
  '<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>';

/** Some two million files. */
const MAX_BYTES = 1024 * 1024 * 1024;

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
  const resources = await resourcesOf(client, answer, path);
  const url = new URL(answer.url);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return { resources, url };
}

/** @throws PbError `protocol_violation` for what is no multistatus */
async function resourcesOf(
  { peer }: WebClient,
  answer: WebAnswer,
  path: string,
): Promise<readonly Resource[]> {
  const resources: Resource[] = [];
  const refuse = (cause?: unknown) => {
    answer.drop();
    return new PbError("protocol_violation", `${peer}: the answer to PROPFIND is not WebDAV's`, {
      ...{ path, peer, cause },
      hint: "is this a folder of a WebDAV server? Its address often has a path of its own",
    });
  };
  if (answer.status !== 207) throw refuse();
  try {
    await readMultistatus(answer.pieces(MAX_BYTES), (each) => void resources.push(each));
  } catch (error) {
    throw error instanceof NoMultistatus ? refuse(error) : error;
  }
  return resources;
}

/** @throws PbError `not_found` */
export async function entryAt(client: WebClient, asked: Asked): Promise<Entry> {
  const { resources } = await propfind(client, asked, 0);
  const [only] = resources;
  if (only) return entryOf("", only);
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
  for (const resource of resources) {
    const { href } = resource;
    const child = childOf(url, href);
    if (child === undefined) {
      if (!isItself(url, href)) errors.push(strayed(client, path, href));
      continue;
    }
    try {
      const name = listedName(child.name, path);
      entries.set(name, entryOf(joinPath(at, name), resource));
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

function entryOf(path: string, { isCollection, properties }: Resource): Entry {
  const { getcontentlength, getlastmodified, getetag } = properties;
  const length = Number(getcontentlength ?? 0);
  const version = getetag !== undefined && !isCollection ? { version: getetag } : {};
  return {
    path,
    kind: isCollection ? "directory" : "file",
    size: isCollection || !Number.isSafeInteger(length) || length < 0 ? 0 : length,
    mtimeNs: dateNs(getlastmodified),
    ...untold(isCollection ? "directory" : "file"),
    ...version,
  };
}
