/**
 * Requests to one web server. What proves the user goes to the remote's own origin and nowhere else: a redirect to another is followed without it, one
 * from https to http never.
 */
import type { Readable } from "node:stream";
import { Agent, type Dispatcher, EnvHttpProxyAgent } from "undici";
import type { EndpointConfig } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import { joinPath, pathText } from "../../model/path.ts";
import { type Exchange, exchange, type Reply, type ReplyHead } from "../exchange.ts";
import {
  type Fetcher,
  type FillableMemory,
  fetchRange,
  fetchSmall,
  rangesOf,
  type SendStream,
  streamContent,
} from "../fetching.ts";
import { Recent } from "../recent.ts";
import type { EndpointTools } from "../registry.ts";
import { authoritiesOf, textSetting } from "../settings.ts";
import { either, refuseAborted } from "../signals.ts";
import { statusError, transportError } from "./errors.ts";
import type { Head } from "./head.ts";
import { componentsOf, encodeSegment } from "./path.ts";

/** Connections to the server, and so requests at once. */
export const MAX_CALLS = 32;
/** Longer chains are loops (RFC 9110 section 15.4 leaves the number to clients; browsers take 20). */
const MAX_REDIRECTS = 10;
const CONNECT_TIMEOUT_MS = 10_000;
/** Until the first byte of an answer: a MOVE or DELETE of a large tree takes its time. */
const HEADERS_TIMEOUT_MS = 300_000;
/** Between two pieces of an answer. */
const BODY_TIMEOUT_MS = 60_000;
const FETCHING = {
  connectMs: CONNECT_TIMEOUT_MS,
  headMs: HEADERS_TIMEOUT_MS,
  bodyMs: BODY_TIMEOUT_MS,
  idle: MAX_CALLS,
};

export interface WebRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE" | "PROPFIND" | "MKCOL" | "MOVE" | "COPY" | "PROPPATCH";
  /** As the caller of the backend gave it. */
  readonly path: string;
  /** With a slash at the end of the URL. */
  readonly folder?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | Readable;
  /** These answers are the caller's to read; any other but 2xx is thrown. */
  readonly allow?: readonly number[];
  readonly signal: AbortSignal;
}

export interface WebAnswer {
  readonly status: number;
  /** Names in lower case; of several of one name the first. */
  header(name: string): string | undefined;
  /** Where it came from, after redirects. */
  readonly url: URL;
  /** Must be read or dropped. */
  readonly body: Readable;
  /** As `PathText`: what is not UTF-8 in a listing are names. */
  text(limit?: number): Promise<string>;
  /** What comes, until it is more than `limit` bytes, which is an error. */
  pieces(limit: number): AsyncIterable<Uint8Array>;
  /** Ends it unread. */
  drop(): void;
}

/** Without a stream, which costs more than a small answer does. */
export interface SmallRequest
  extends Pick<WebRequest, "path" | "folder" | "headers" | "allow" | "signal">,
    Pick<Exchange, "otherLength"> {
  readonly method: "GET" | "HEAD";
  /** Where a success's content goes, exactly; what it throws ends the request. */
  readonly place?: (answer: SmallAnswer) => Uint8Array;
}

/** A range, into memory of the engine. */
export interface ContentRequest extends Pick<WebRequest, "path" | "headers" | "signal"> {
  readonly memory: FillableMemory;
  /** Of a 206: throws where it is not what was asked for. */
  readonly check: (answer: SmallAnswer) => void;
}

/** A PUT of memory of the engine, piece by piece. */
export interface StreamUpload extends Pick<WebRequest, "path" | "headers" | "signal"> {
  /** Given what takes the pieces. */
  readonly onBegun: (stream: SendStream) => void;
}

export type SmallAnswer = Pick<WebAnswer, "status" | "header" | "url">;

export interface WebClient {
  readonly peer: string;
  /** @throws PbError as errors.ts maps statuses and failures; `aborted` */
  send(request: WebRequest): Promise<WebAnswer>;
  /** As `send`, to the end of the answer. */
  sendSmall(request: SmallRequest): Promise<SmallAnswer>;
  /**
   * A GET of a range; with 206 the memory is filled. Undefined: not in this way. Absent: never.
   *
   * @throws as `send`; what `check` throws
   */
  readonly fetchRange?: ((request: ContentRequest) => Promise<SmallAnswer | undefined>) | undefined;
  /** A GET of all of a small file, into memory of the engine. Undefined: not in this way. Absent: never. @throws as `send` */
  readonly fetchSmall?:
    | ((request: Omit<ContentRequest, "check">) => Promise<SmallAnswer | undefined>)
    | undefined;
  /** To the end of the answer. Undefined: not in this way. Absent: never. @throws as `send` */
  readonly putStream?: ((request: StreamUpload) => Promise<SmallAnswer | undefined>) | undefined;
  /** As `ChunkAccess.warm`. */
  readonly warm?: ((bytes: number) => void) | undefined;
  /** What of a path of the contract is a URL here. @throws PbError `path_escapes`, `invalid_path` */
  urlOf(path: string, folder?: boolean): URL;
  /** Of HEAD, by URL. */
  readonly heads: Recent<Head>;
  /** Aborted by `close`. */
  readonly closing: AbortSignal;
  close(): Promise<void>;
}

/** @throws PbError `invalid_argument` naming the setting */
export async function openWebClient(
  config: EndpointConfig,
  { name, env, openFetcher }: EndpointTools,
): Promise<WebClient> {
  const base = baseUrl(config, name);
  const query = textSetting(config, "query", name);
  const ca = await authoritiesOf(config, name);
  const proxies = proxiesOf(env);
  const dispatcher = dispatcherOf({ ca, proxies });
  // Through a proxy all goes by undici, which knows how.
  const fetcher = proxies === undefined ? openFetcher?.({ ...FETCHING, authorities: ca }) : undefined;
  const closing = new AbortController();
  const below = base.href;
  const asked = new URL(base);
  if (query !== undefined) asked.search = query;
  const { search } = asked;
  const urlOf = (path: string, folder = false) => {
    const segments = componentsOf(path).map(encodeSegment).join("/");
    // The root of a server is a folder whatever is asked. Nothing is left in a segment that a URL is parsed by.
    return new URL(`${below}${segments}${folder && segments !== "" ? "/" : ""}${search}`);
  };
  const authorization = () => authorizationOf(config, base, name);
  const sending: Sending = { dispatcher, peer: name, base, authorization, closing: closing.signal };
  return {
    peer: name,
    heads: new Recent(),
    closing: closing.signal,
    urlOf,
    send: (request) => send(sending, request, urlOf),
    sendSmall: (request) => sendSmall(sending, request, urlOf),
    fetchRange: fetcher && ((request) => rangeOf(sending, request, { urlOf, fetcher })),
    fetchSmall: fetcher && ((request) => smallOf(sending, request, { urlOf, fetcher })),
    warm: fetcher && ((bytes) => fetcher.warm(base.origin, rangesOf(bytes))),
    putStream: fetcher && ((request) => putStream(sending, request, { urlOf, fetcher })),
    async close() {
      closing.abort();
      fetcher?.close();
      await dispatcher.destroy();
    },
  };
}

/** Ends with a slash. */
function baseUrl(config: EndpointConfig, peer: string): URL {
  const text = textSetting(config, "url", peer) ?? "";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new PbError(
      "invalid_argument",
      `url must be http://HOST/PATH or https://HOST/PATH, not ${JSON.stringify(text)}`,
      { peer },
    );
  const path = textSetting(config, "path", peer);
  if (path !== undefined)
    url.pathname = joinPath(url.pathname, componentsOf(path).map(encodeSegment).join("/"));
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  url.username = "";
  url.password = "";
  url.search = "";
  url.hash = "";
  return url;
}

interface Proxies {
  readonly http: string | undefined;
  readonly https: string | undefined;
  readonly none: string;
}

function proxiesOf(env: EndpointTools["env"]): Proxies | undefined {
  const proxy = (name: string) => env[name] ?? env[name.toUpperCase()];
  const [http, https] = [proxy("http_proxy"), proxy("https_proxy")];
  return http === undefined && https === undefined
    ? undefined
    : { http, https, none: proxy("no_proxy") ?? "" };
}

function dispatcherOf({
  ca,
  proxies,
}: {
  readonly ca: string | undefined;
  readonly proxies: Proxies | undefined;
}): Dispatcher {
  const tls = ca === undefined ? {} : { ca };
  const common = {
    connections: MAX_CALLS,
    pipelining: 1,
    headersTimeout: HEADERS_TIMEOUT_MS,
    bodyTimeout: BODY_TIMEOUT_MS,
  };
  if (proxies === undefined)
    return new Agent({ ...common, connect: { ...tls, timeout: CONNECT_TIMEOUT_MS } });
  const { http, https, none } = proxies;
  return new EnvHttpProxyAgent({
    ...common,
    requestTls: tls,
    ...(http === undefined ? {} : { httpProxy: http }),
    ...(https === undefined ? {} : { httpsProxy: https }),
    noProxy: none,
  });
}

/** Asked for at each request, so that what was rotated or locked counts at once. @throws PbError `invalid_argument` */
async function authorizationOf(config: EndpointConfig, base: URL, peer: string): Promise<Authorization> {
  const token = await config.secret("token");
  if (token !== undefined) return { authorization: `Bearer ${token.reveal()}` };
  const user = textSetting(config, "user", peer);
  const password = await config.secret("password");
  if (user === undefined && password === undefined) return {};
  if (user?.includes(":"))
    throw new PbError("invalid_argument", `user must not hold a colon (${base.origin})`, { peer });
  const pair = Buffer.from(`${user ?? ""}:${password?.reveal() ?? ""}`, "utf8").toString("base64");
  return { authorization: `Basic ${pair}` };
}

/** A header, or none. */
type Authorization = { readonly authorization?: string };

interface Sending {
  readonly dispatcher: Dispatcher;
  readonly peer: string;
  readonly base: URL;
  readonly authorization: () => Promise<Authorization>;
  readonly closing: AbortSignal;
}

async function send(
  { dispatcher, peer, base, authorization, closing }: Sending,
  request: WebRequest,
  urlOf: WebClient["urlOf"],
): Promise<WebAnswer> {
  const { method, path, folder, headers = {}, body, allow = [], signal: caller } = request;
  const at = { path, peer };
  // Not disposed before the body has been read: the listeners go with it.
  const signals = either(caller, closing);
  let own: Authorization = {};
  try {
    refuseAborted(signals.signal);
    let url = urlOf(path, folder);
    for (let hops = 0; ; hops += 1) {
      own = url.origin === base.origin ? await authorization() : {};
      const answer = await dispatcher.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: method as Dispatcher.HttpMethod,
        headers: { ...COMMON, ...headers, ...own },
        body: body ?? null,
        // undici ends the connection after each HEAD for the sake of servers that send a body: here what follows is no reply, and the call is repeated.
        reset: false,
        signal: signals.signal,
      });
      const next = redirectOf(answer, { url, hops, at, replayable: !isStream(body) });
      if (next instanceof PbError) {
        answer.body.on("error", () => {}).destroy();
        throw next;
      }
      if (next === undefined)
        return checked(answer, { url, method, allow, at, release: () => signals[Symbol.dispose]() });
      discard(answer.body, method);
      url = next;
    }
  } catch (error) {
    const wasAborted = signals.signal.aborted;
    signals[Symbol.dispose]();
    if (wasAborted) throw new PbError("aborted", "interrupted", { path, cause: error });
    const failure = transportError(error, at);
    throw isStream(body) ? failure : await withoutOldSecret(failure, { own, authorization });
  }
}

/** A request as it goes out: to the place that was asked for, or where a redirect leads. */
type Call = Pick<Exchange, "origin" | "path" | "headers" | "signal">;

interface Asking<R> {
  /** False: its content is gone with the first try. Default true. */
  readonly replayable?: boolean;
  readonly urlOf: WebClient["urlOf"];
  readonly ask: (call: Call, answerOf: (head: Omit<ReplyHead, "header">) => SmallAnswer) => Promise<R>;
}

/** To the end of the answer, over redirects; undefined where `ask` gives that. */
async function answered<R extends Reply | undefined>(
  { peer, base, authorization, closing }: Omit<Sending, "dispatcher">,
  {
    path,
    folder,
    headers: given,
    allow = [],
    signal,
  }: Pick<WebRequest, "path" | "folder" | "headers" | "allow" | "signal">,
  { urlOf, ask, replayable = true }: Asking<R>,
): Promise<SmallAnswer | Exclude<R, Reply>> {
  const at = { path, peer };
  let own: Authorization = {};
  try {
    refuseAborted(closing);
    let url = urlOf(path, folder);
    for (let hops = 0; ; hops += 1) {
      own = url.origin === base.origin ? await authorization() : {};
      const seen = url;
      const answerOf = ({ status, headers }: Omit<ReplyHead, "header">): SmallAnswer => ({
        status,
        header: (name) => firstOf(headers[name]),
        url: seen,
      });
      const { origin, pathname, search } = url;
      const headers = { ...COMMON, ...given, ...own };
      const reply = await ask({ origin, path: `${pathname}${search}`, headers, signal }, answerOf);
      if (reply === undefined) return reply as Exclude<R, Reply>;
      const hop = { statusCode: reply.status, headers: reply.headers };
      const next = redirectOf(hop, { url, hops, at, replayable });
      if (next instanceof PbError) throw next;
      if (next === undefined) return accepted(answerOf(reply), { allow, at });
      url = next;
    }
  } catch (error) {
    if (signal.aborted || closing.aborted)
      throw new PbError("aborted", "interrupted", { path, cause: error });
    const failure = transportError(error, at);
    throw replayable ? await withoutOldSecret(failure, { own, authorization }) : failure;
  }
}

function sendSmall(
  { dispatcher, ...sending }: Sending,
  { method, place, otherLength, ...request }: SmallRequest,
  urlOf: WebClient["urlOf"],
): Promise<SmallAnswer> {
  return answered(sending, request, {
    urlOf,
    ask: (call, answerOf) =>
      exchange(dispatcher, {
        ...call,
        method,
        ...(place && { place: (head: ReplyHead) => place(answerOf(head)) }),
        ...(otherLength && { otherLength }),
      }),
  });
}

function rangeOf(
  sending: Sending,
  { memory, check, ...request }: ContentRequest,
  { urlOf, fetcher }: { readonly urlOf: WebClient["urlOf"]; readonly fetcher: Fetcher },
): Promise<SmallAnswer | undefined> {
  return answered(sending, request, {
    urlOf,
    ask: (call, answerOf) => fetchRange(fetcher, { ...call, memory, check: (head) => check(answerOf(head)) }),
  });
}

function smallOf(
  sending: Sending,
  { memory, ...request }: Omit<ContentRequest, "check">,
  { urlOf, fetcher }: { readonly urlOf: WebClient["urlOf"]; readonly fetcher: Fetcher },
): Promise<SmallAnswer | undefined> {
  return answered(sending, request, {
    urlOf,
    ask: ({ signal: _, ...call }) => fetchSmall(fetcher, { ...call, memory }),
  });
}

function putStream(
  sending: Sending,
  { onBegun, ...request }: StreamUpload,
  { urlOf, fetcher }: { readonly urlOf: WebClient["urlOf"]; readonly fetcher: Fetcher },
): Promise<SmallAnswer | undefined> {
  return answered(sending, request, {
    urlOf,
    replayable: false,
    ask: (call) => streamContent(fetcher, { ...call, method: "PUT", onBegun }),
  });
}

/** A refusal of what was asked with a secret that is another by now says nothing of the new one: the call may be repeated. */
async function withoutOldSecret(
  failure: PbError,
  { own, authorization }: { readonly own: Authorization } & Pick<Sending, "authorization">,
): Promise<PbError> {
  const { code, message, path, peer } = failure;
  if (code !== "unauthenticated" && code !== "permission_denied") return failure;
  if (own.authorization === undefined) return failure;
  // A secret that is gone has an error of its own, which stops the job.
  const now = await authorization();
  if (now.authorization === own.authorization) return failure;
  return new PbError(code, message, {
    ...(path && { path }),
    ...(peer && { peer }),
    cause: failure,
    retryable: true,
  });
}

/** @throws PbError of the status */
function accepted<T extends Pick<WebAnswer, "status" | "header">>(
  answer: T,
  { allow, at }: Pick<Checking, "allow" | "at">,
): T {
  const { status } = answer;
  if ((status >= 200 && status < 300) || allow.includes(status)) return answer;
  throw statusError(status, at, answer.header("retry-after"));
}

/** What is compressed on the way has another length and other ranges than the file. */
const COMMON = { "accept-encoding": "identity", "user-agent": "packetboat" };

const firstOf = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value);

const isStream = (body: WebRequest["body"]) => typeof body === "object" && !(body instanceof Uint8Array);

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

interface Hop {
  readonly url: URL;
  readonly hops: number;
  readonly at: { readonly path: string; readonly peer: string };
  readonly replayable: boolean;
}

/** Where to ask instead; undefined for an answer; `permission_denied` when the way there is not safe. */
function redirectOf(
  { statusCode, headers }: Pick<Dispatcher.ResponseData, "statusCode" | "headers">,
  { url, hops, at, replayable }: Hop,
): URL | PbError | undefined {
  const { location } = headers;
  if (!REDIRECTS.has(statusCode) || typeof location !== "string") return undefined;
  const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  const refuse = (why: string) =>
    new PbError("permission_denied", `${at.peer}: refused to be sent on, ${why}`, at);
  if (next === undefined || (next.protocol !== "http:" && next.protocol !== "https:"))
    return refuse("not to another web address");
  if (url.protocol === "https:" && next.protocol === "http:")
    return refuse(`from https to http (${next.host})`);
  if (hops >= MAX_REDIRECTS) return refuse(`${MAX_REDIRECTS} times in a row`);
  return replayable ? next : refuse(`to ${next.host} in the middle of an upload`);
}

/** An answer that nobody wants is read to its end up to this length, so that its connection is used again; a longer one ends it. */
const DISCARD_BYTES = 64 * 1024;

function discard(body: Dispatcher.ResponseData["body"], method: WebRequest["method"]): void {
  body.on("error", () => {});
  if (body.readableDidRead) body.destroy();
  // The length that it tells is that of a GET; nothing comes.
  else if (method === "HEAD") body.resume();
  else void body.dump({ limit: DISCARD_BYTES });
}

interface Checking {
  readonly url: URL;
  readonly method: WebRequest["method"];
  readonly allow: readonly number[];
  readonly at: { readonly path: string; readonly peer: string };
  readonly release: () => void;
}

function checked(answer: Dispatcher.ResponseData, { url, method, allow, at, release }: Checking): WebAnswer {
  const { statusCode: status, headers, body } = answer;
  const header = (name: string) => firstOf(headers[name]);
  body.once("close", release);
  const drop = () => discard(body, method);
  try {
    accepted({ status, header }, { allow, at });
  } catch (error) {
    drop();
    throw error;
  }
  const pieces = (limit: number) => piecesOf(body, { limit, at });
  const text = async (limit = MAX_TEXT_BYTES) => {
    const all: Uint8Array[] = [];
    for await (const piece of pieces(limit)) all.push(piece);
    return pathText(Buffer.concat(all));
  };
  return { status, header, url, body, drop, text, pieces };
}

/** An index page of a million files. */
const MAX_TEXT_BYTES = 192 * 1024 * 1024;

async function* piecesOf(
  body: Readable,
  { limit, at }: { readonly limit: number; readonly at: Hop["at"] },
): AsyncIterable<Uint8Array> {
  let size = 0;
  try {
    // Who takes no more ends the body, too.
    for await (const piece of body as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > limit)
        throw new PbError("protocol_violation", `${at.peer}: an answer of more than ${limit} bytes`, at);
      yield piece;
    }
  } catch (error) {
    throw transportError(error, at);
  }
}
