/** Requests whose content goes past JavaScript, with the replies that `exchange.ts` gives of all others. */

import type {
  ExchangeRequest,
  FetchedHead,
  Fetcher,
  FillableMemory,
  SendRequest,
  SendStream,
  Sent,
  SmallReply,
  SmallRequest,
  StreamRequest,
} from "../native/types.ts";
import type { Exchange, Reply, ReplyHead } from "./exchange.ts";
import { unlessAborted } from "./signals.ts";

export type { Fetcher, FillableMemory, Intake, SendableMemory, SendStream } from "../native/types.ts";

/** Of one range of a file, past JavaScript, where chunks count as they come: a file begins with four connections, and each stays with its range (docs/design/0015). */
export function rangeBytesOf(size: number): number {
  return Math.min(MAX_RANGE_BYTES, Math.max(MIN_RANGE_BYTES, Math.ceil(size / RANGES_AT_ONCE)));
}

/** How many of them are under way at first. */
export function rangesOf(size: number): number {
  return Math.max(1, Math.min(RANGES_AT_ONCE, Math.ceil(size / rangeBytesOf(size))));
}

const RANGES_AT_ONCE = 4;
const MIN_RANGE_BYTES = 4 * 1024 * 1024;
const MAX_RANGE_BYTES = 32 * 1024 * 1024;

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
  return fetched.kind === "filled" && told ? { ...told, text: NOTHING } : undefined;
}

/** All of a small file: with a 200 it is in the memory. Undefined: to be asked in another way. */
export async function fetchSmall(fetcher: Fetcher, request: SmallRequest): Promise<Reply | undefined> {
  return smallReply(await fetcher.small(request));
}

/** What is small and may be asked twice. Undefined: to be asked in another way. @throws PbError `aborted` */
export async function exchangeSmall(
  fetcher: Fetcher,
  { signal, ...request }: ExchangeRequest & { readonly signal: AbortSignal },
): Promise<Reply | undefined> {
  return smallReply(await unlessAborted(fetcher.exchange(request), signal));
}

const smallReply = (reply: SmallReply | undefined) => reply && { ...replyHead(reply), text: reply.text };

const NOTHING = Buffer.alloc(0);

/**
 * Whatever the server says. Undefined: to be sent in another way.
 *
 * @throws PbError `aborted`; `connection_lost`, `timeout`: nobody knows whether the server has it
 */
export async function sendContent(fetcher: Fetcher, request: SendRequest): Promise<Reply | undefined> {
  return replyOf(await fetcher.send(request));
}

/** As `sendContent`, of content that comes in pieces. @param onBegun is given what takes them */
export async function streamContent(
  fetcher: Fetcher,
  { onBegun, ...request }: StreamRequest & { readonly onBegun: (stream: SendStream) => void },
): Promise<Reply | undefined> {
  const stream = fetcher.stream(request);
  onBegun(stream);
  return replyOf(await stream.answer);
}

function replyOf(sent: Sent): Reply | undefined {
  return sent.kind === "answered" ? { ...replyHead(sent), text: sent.text } : undefined;
}

function replyHead({ status, headers }: FetchedHead): ReplyHead {
  const header = (name: string) => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return { status, headers, header };
}
