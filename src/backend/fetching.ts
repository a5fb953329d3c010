/** Requests whose content goes past JavaScript, with the replies that `exchange.ts` gives of all others. */

import type { Fetcher, FillableMemory } from "../native/types.ts";
import type { Exchange, Reply } from "./exchange.ts";

export type { Fetcher, FillableMemory } from "../native/types.ts";

export interface ContentRequest extends Pick<Exchange, "origin" | "path" | "headers" | "signal"> {
  readonly memory: FillableMemory;
  /** With another, the content is none that is wanted. */
  readonly status: 200 | 206;
}

/**
 * Undefined: to be asked in another way. With the status that is wanted the memory holds the content, which nobody has looked at: the head may still say that it
 * is another's.
 *
 * @throws PbError `aborted`, `connection_lost`, `timeout`
 */
export async function fetchContent(fetcher: Fetcher, request: ContentRequest): Promise<Reply | undefined> {
  const fetched = await fetcher.fetch(request);
  if (fetched.kind === "unsuited") return undefined;
  const { status, headers } = fetched;
  const header = (name: string) => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  const text = fetched.kind === "refused" ? fetched.text : Buffer.alloc(0);
  return { status, headers, header, text };
}
