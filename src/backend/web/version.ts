/** What a server says of one version of a file. */
import { PbError } from "../../model/error.ts";
import type { KnownVersion } from "../chunks.ts";
import type { SmallAnswer, WebAnswer, WebClient } from "./client.ts";
import type { Head, Version } from "./head.ts";

/** Of an answer to HEAD or to a GET of all; `size` -1 where it is not said. */
export function versionOf(answer: Pick<WebAnswer, "header">): Version {
  const length = answer.header("content-length");
  const etag = answer.header("etag");
  const modified = answer.header("last-modified");
  return {
    size: length !== undefined && /^\d{1,16}$/.test(length) ? Number(length) : -1,
    mtimeNs: dateNs(modified),
    ...(etag === undefined || etag === "" ? {} : { version: etag }),
    ...(modified === undefined ? {} : { modified }),
  };
}

/** Nanoseconds since 1970 of an HTTP date (RFC 9110 section 5.6.7), 0 when it is none. */
export function dateNs(text: string | undefined): bigint {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? 0n : BigInt(ms) * 1_000_000n;
}

/** Could `seen` be what `known` was? Only what both say is compared; a time of 0 says nothing. */
export function sameVersion(known: KnownVersion, seen: Version): boolean {
  if (seen.size >= 0 && seen.size !== known.size) return false;
  if (known.version !== undefined && seen.version !== undefined) return known.version === seen.version;
  return known.mtimeNs === 0n || seen.mtimeNs === 0n || known.mtimeNs === seen.mtimeNs;
}

interface Asked {
  readonly path: string;
  readonly folder?: boolean;
  readonly signal: AbortSignal;
}

/** It is left for who opens the file next. @throws PbError `not_found` and whatever the server answers */
export async function headOf(client: WebClient, asked: Asked): Promise<Head> {
  const head = await askHead(client, asked);
  if (!asked.folder && !head.folder) client.heads.leave(client.urlOf(asked.path).href, head);
  return head;
}

async function askHead(client: WebClient, { path, folder = false, signal }: Asked): Promise<Head> {
  const head = await client.sendSmall({ method: "HEAD", path, folder, allow: [405, 501], signal });
  if (head.status < 300) return describe(client, { path, folder, answer: head });
  // No HEAD here: the first byte says the same.
  const answer = await client.send({
    method: "GET",
    path,
    folder,
    headers: { range: "bytes=0-0" },
    allow: [416],
    signal,
  });
  answer.drop();
  const described = describe(client, { path, folder, answer });
  if (answer.status === 200) return { ...described, ranges: "no" };
  const total = /\/(\d{1,16})$/.exec(answer.header("content-range") ?? "")?.[1];
  return { ...described, size: total === undefined ? -1 : Number(total), ranges: "yes" };
}

function describe(
  client: WebClient,
  { path, folder, answer }: { readonly path: string; readonly folder: boolean; readonly answer: SmallAnswer },
): Head {
  const accepts = answer.header("accept-ranges")?.toLowerCase();
  const asked = client.urlOf(path, folder);
  return {
    ...versionOf(answer),
    ...(accepts === "bytes"
      ? { ranges: "yes" as const }
      : accepts === "none"
        ? { ranges: "no" as const }
        : {}),
    folder: !asked.pathname.endsWith("/") && answer.url.pathname.endsWith("/"),
    type: (answer.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "",
  };
}

export function changed(client: WebClient, path: string): PbError {
  return new PbError("source_changed", "the file is another by now", { path, peer: client.peer });
}
