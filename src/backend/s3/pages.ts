/** Listings that come in pages. */
import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import { PbError } from "../../model/error.ts";
import { type Context, request } from "./context.ts";
import { type Place, prefixOf } from "./place.ts";

/** Pages in a row that bring nothing new; S3 may give empty ones, but not so many. */
const MAX_STALE_PAGES = 100;

/**
 * Watches a listing that comes in pages: one that goes round, or on and on without anything new, is ended. Of tokens only one is kept
 * (Brent, "An improved Monte Carlo factorization algorithm", 1980: a circle is found after at most three times its length).
 */
export interface Progress {
  /**
   * @param token of the next page
   * @param fresh did this page bring anything?
   * @throws PbError `protocol_violation`
   */
  page(token: string | undefined, fresh: boolean): void;
}

export function watchPages({ name }: Pick<Context, "name">, { path }: Pick<Place, "path">): Progress {
  let anchor: string | undefined;
  let steps = 0;
  let reach = 1;
  let stale = 0;
  const endless = (what: string) => new PbError("protocol_violation", what, { path, peer: name });
  return {
    page(token, fresh) {
      if (token === undefined) return;
      if (token === anchor) throw endless("the server's listing goes round in a circle");
      stale = fresh ? 0 : stale + 1;
      if (stale > MAX_STALE_PAGES) throw endless("the server's listing goes on without anything new");
      steps += 1;
      if (steps < reach) return;
      anchor = token;
      reach *= 2;
      steps = 0;
    },
  };
}

export interface Paging {
  /** "folder": what is right in it; "tree": all keys below it. */
  readonly depth: "folder" | "tree";
  readonly signal: AbortSignal;
}

export async function* pagesOf(
  context: Context,
  place: Place,
  { depth, signal }: Paging,
): AsyncGenerator<ListObjectsV2CommandOutput> {
  let token: string | undefined;
  do {
    const command = new ListObjectsV2Command({
      Bucket: place.bucket,
      Prefix: prefixOf(place),
      ...(depth === "folder" ? { Delimiter: "/" } : {}),
      // Names that XML cannot hold arrive whole.
      EncodingType: "url",
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await request(context, { path: place.path, signal }, (options) =>
      context.client.send(command, options),
    );
    yield page;
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

/** The keys of a page as they are: servers that know no `EncodingType` send them so. */
export function keyReader({
  EncodingType,
}: Pick<ListObjectsV2CommandOutput, "EncodingType">): (text: string) => string {
  return EncodingType === "url" ? decodeKey : (text) => text;
}

/** S3 writes a space as "+". */
function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", "%20"));
  } catch {
    return text;
  }
}
