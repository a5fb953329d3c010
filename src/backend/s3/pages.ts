import { PbError } from "../../model/error.ts";
import type { Context } from "./context.ts";
import type { Place } from "./place.ts";

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
