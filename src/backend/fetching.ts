/** Ranges whose content goes past JavaScript, with the replies that `exchange.ts` gives of all others. */

import type { FetchedHead, Fetcher, FillableMemory } from "../native/types.ts";
import type { Exchange, Reply, ReplyHead } from "./exchange.ts";

export type { Fetcher, FillableMemory } from "../native/types.ts";

export interface RangeRequest extends Pick<Exchange, "origin" | "path" | "headers" | "signal"> {
  readonly memory: FillableMemory;
  /** Throws where the head of a 206 is not of the range that was asked for, or of another version. */
  readonly check: (head: ReplyHead) => void;
}

/**
 * With 206, all of the memory is filled with what `check` has let pass. Undefined: to be asked in another way.
 *
 * @throws PbError `aborted`, `connection_lost`, `timeout`: what of the memory was filled before is not in it any more; what `check` throws
 */
export async function fetchRange(
  fetcher: Fetcher,
  { check, ...request }: RangeRequest,
): Promise<Reply | undefined> {
  let told: ReplyHead | undefined;
  const fetched = await fetcher.fetch({
    ...request,
    status: 206,
    check(head) {
      told = replyHead(head);
      check(told);
    },
  });
  if (fetched.kind === "refused") return { ...replyHead(fetched), text: fetched.text };
  return fetched.kind === "filled" && told ? { ...told, text: Buffer.alloc(0) } : undefined;
}

function replyHead({ status, headers }: FetchedHead): ReplyHead {
  const header = (name: string) => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return { status, headers, header };
}
