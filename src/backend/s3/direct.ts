/**
 * Requests about one object without the SDK, which takes about 1 ms of processor time for each (docs/design/0012). Where to ask and how to sign is the SDK's
 * word, asked for once for each bucket; what it signs in other ways (S3 Express, regions of an access point) stays with it.
 */
import { HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { Agent } from "undici";
import { PbError } from "../../model/error.ts";
import { type Exchange, exchange, type Reply } from "../exchange.ts";
import {
  exchangeSmall,
  type Fetcher,
  fetchRange,
  fetchSmall,
  type RangeRequest,
  rangesOf,
  type SendableMemory,
  sendContent,
} from "../fetching.ts";
import { transportError } from "../transport-error.ts";
import type { Place } from "./place.ts";
import {
  createSigner,
  EMPTY_HASH,
  encodeKey,
  encodeQuery,
  type Keys,
  type Signable,
  sha256Hex,
  UNSIGNED,
} from "./sign.ts";

export interface DirectOptions {
  readonly client: S3Client;
  /** The remote's name, in errors. */
  readonly peer: string;
  /** Asked for at each request; undefined: nothing is signed. */
  readonly keys: () => Promise<Keys | undefined>;
  /** PEM, instead of the system's authorities. */
  readonly ca?: string | undefined;
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly fetcher: Fetcher | undefined;
}

export type ObjectRequest = Pick<Exchange, "method" | "headers" | "body" | "place" | "signal">;

export type ObjectRange = Pick<RangeRequest, "headers" | "signal" | "memory" | "check">;

/** A PUT of content that the server is told the CRC-32 of. */
export interface ObjectContent {
  readonly query: Readonly<Record<string, string>>;
  readonly memory: SendableMemory;
  readonly signal: AbortSignal;
}

export interface SentContent {
  readonly reply: Reply;
  /** CRC-32 of what was sent, base64. */
  readonly sum: string;
}

export interface Direct {
  /**
   * A reply below 300. Undefined: ask the SDK, this bucket is none for a plain signature.
   *
   * @throws as the SDK does for a server that refuses (errors.ts maps it); PbError for a connection's failure
   */
  send(place: Place, request: ObjectRequest): Promise<Reply | undefined>;
  /** A GET of a range into memory of the engine. Undefined: not in this way. Absent: never. @throws as `send` */
  readonly fetchRange?: ((place: Place, request: ObjectRange) => Promise<Reply | undefined>) | undefined;
  /** A GET of all of a small object, into memory of the engine. Undefined: not in this way. Absent: never. @throws as `send` */
  readonly fetchSmall?:
    | ((place: Place, request: Pick<ObjectRange, "headers" | "memory">) => Promise<Reply | undefined>)
    | undefined;
  /** As `ChunkAccess.warm`, for objects of a bucket. Fails never. */
  readonly warm?: ((bucket: string, bytes: number) => Promise<void>) | undefined;
  /** From memory of the engine. Undefined: not in this way. Absent: never. @throws as `send` */
  readonly put?: ((place: Place, content: ObjectContent) => Promise<SentContent | undefined>) | undefined;
  close(): void;
}

type Queried = Pick<ObjectContent, "query">;

interface Where {
  readonly origin: string;
  readonly host: string;
  /** Before the key; ends with a slash. */
  readonly path: string;
  readonly region: string;
  readonly service: string;
}

export function createDirect(options: DirectOptions): Direct {
  const { client, keys, ca, idleTimeoutMs, fetcher } = options;
  const agent = new Agent({
    connections: options.maxConnections,
    pipelining: 1,
    headersTimeout: idleTimeoutMs,
    bodyTimeout: idleTimeoutMs,
    connect: { ...(ca === undefined ? {} : { ca }), timeout: options.connectTimeoutMs },
  });
  const known = new Map<string, Promise<Where | undefined>>();
  const sign = createSigner();
  const whereIs = (bucket: string) => {
    const last = known.get(bucket);
    if (last) return last;
    const where = findWhere(client, bucket);
    known.set(bucket, where);
    // Who the user is may be found out by the next request.
    where.catch(() => known.delete(bucket));
    return where;
  };
  /** Signed. Undefined: not for us. */
  const prepare = async (
    { bucket, key }: Place,
    { query, ...asked }: Pick<Signable, "method" | "headers" | "payloadHash"> & Partial<Queried>,
  ) => {
    const where = await whereIs(bucket);
    if (where === undefined) return undefined;
    const { origin, host, region, service } = where;
    const path = `${where.path}${encodeKey(key)}`;
    const encoded = encodeQuery(query ?? {});
    const identity = await keys();
    // As far as the server's clock is known to be off.
    const now = new Date(Date.now() + client.config.systemClockOffset);
    const signable = { ...asked, host, path, query: encoded };
    const all = identity ? sign(signable, { keys: identity, region, service, now }) : asked.headers;
    const target = encoded === "" ? path : `${path}?${encoded}`;
    return { sent: { origin, path: target, headers: { ...all, "user-agent": "packetboat" } }, identity };
  };
  const checked = async (
    { path }: Place,
    { identity, asked }: { readonly identity: Keys | undefined; readonly asked: Promise<Reply | undefined> },
  ): Promise<Reply | undefined> => {
    const at = { path, peer: options.peer };
    const reply = await asked.catch((cause) => {
      throw transportError(cause, at);
    });
    if (reply === undefined || reply.status < 300) return reply;
    const isOld =
      identity && (reply.status === 401 || reply.status === 403) && !isSame(identity, await keys());
    // It says nothing of the new keys.
    if (isOld)
      throw new PbError("permission_denied", "the keys were changed meanwhile", { ...at, retryable: true });
    throw refusal(reply);
  };
  return {
    async send(place, { headers, ...request }) {
      const { method, body, signal } = request;
      const payloadHash = body === undefined ? EMPTY_HASH : sha256Hex(body);
      const prepared = await prepare(place, { method, headers, payloadHash });
      if (prepared === undefined) return undefined;
      const { sent, identity } = prepared;
      const past = method === "PUT" && fetcher ? putSmall(fetcher, { ...sent, body, signal }) : undefined;
      const asked = async () => (await past) ?? exchange(agent, { ...request, ...sent });
      return checked(place, { identity, asked: asked() });
    },
    fetchRange:
      fetcher &&
      (async (place, { headers, ...request }) => {
        const prepared = await prepare(place, { method: "GET", headers, payloadHash: EMPTY_HASH });
        if (prepared === undefined) return undefined;
        const { sent, identity } = prepared;
        return checked(place, { identity, asked: fetchRange(fetcher, { ...request, ...sent }) });
      }),
    fetchSmall:
      fetcher &&
      (async (place, { headers, memory }) => {
        const prepared = await prepare(place, { method: "GET", headers, payloadHash: EMPTY_HASH });
        if (prepared === undefined) return undefined;
        const { sent, identity } = prepared;
        return checked(place, { identity, asked: fetchSmall(fetcher, { ...sent, memory }) });
      }),
    warm:
      fetcher &&
      (async (bucket, bytes) => {
        const where = await whereIs(bucket).catch(() => undefined);
        if (where) fetcher.warm(where.origin, rangesOf(bytes));
      }),
    put:
      fetcher &&
      (async (place, { query, memory, signal }) => {
        const origin = (await whereIs(place.bucket))?.origin;
        if (origin === undefined) return undefined;
        const isSecret = origin.startsWith("https:");
        const sums = await fetcher.sums({ origin, memory, sha256: !isSecret, signal });
        if (sums === undefined) return undefined;
        const sum = sums.crc32.toString("base64");
        const headers = {
          "content-length": `${memory.length}`,
          "content-type": "application/octet-stream",
          "x-amz-sdk-checksum-algorithm": "CRC32",
          "x-amz-checksum-crc32": sum,
        };
        const payloadHash = isSecret ? UNSIGNED : sums.sha256.toString("hex");
        const method = "PUT";
        const prepared = await prepare(place, { method, query, headers, payloadHash });
        if (prepared === undefined) return undefined;
        const { sent, identity } = prepared;
        const asked = sendContent(fetcher, { ...sent, method, memory, signal });
        const reply = await checked(place, { identity, asked });
        return reply && { reply, sum };
      }),
    close() {
      fetcher?.close();
      void agent.destroy();
    },
  };
}

/** An object that is put twice is the same. Undefined: not in this way. */
function putSmall(
  fetcher: Fetcher,
  {
    headers,
    body,
    ...put
  }: Pick<Exchange, "origin" | "path" | "headers" | "signal"> & { readonly body: Buffer | undefined },
): Promise<Reply | undefined> {
  const length = { "content-length": `${body?.length ?? 0}` };
  return exchangeSmall(fetcher, { ...put, method: "PUT", headers: { ...headers, ...length }, body });
}

function isSame(a: Keys, b: Keys | undefined): boolean {
  return a.accessKeyId === b?.accessKeyId && a.secretAccessKey === b.secretAccessKey;
}

/** Where requests about a bucket's objects go, by the SDK's rules. No request is made. */
async function findWhere(client: S3Client, bucket: string): Promise<Where | undefined> {
  const command = new HeadObjectCommand({ Bucket: bucket, Key: "x" });
  let where: Where | undefined;
  command.middlewareStack.add(
    (_next, context) => async () => {
      where = context.endpointV2 && plainWhere(context.endpointV2);
      return { output: { $metadata: {} }, response: {} };
    },
    // The endpoint is found before that.
    { step: "build", priority: "high", name: "findWhere" },
  );
  await client.send(command);
  return where;
}

interface Endpoint {
  readonly url: URL;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, unknown>>;
}

function plainWhere({ url, properties, headers = {} }: Endpoint): Where | undefined {
  const [scheme] = (properties?.authSchemes ?? []) as readonly (
    | Readonly<Record<string, unknown>>
    | undefined
  )[];
  const { name, signingRegion: region, signingName: service = "s3" } = scheme ?? {};
  if (name !== "sigv4" || typeof region !== "string" || typeof service !== "string") return undefined;
  if (Object.keys(headers).length > 0 || url.search !== "") return undefined;
  const path = url.pathname.endsWith("/") ? url.pathname : `${url.pathname}/`;
  return { origin: url.origin, host: url.host, path, region, service };
}

/** A server that refuses, in the SDK's words. @throws PbError for a reply that is none of S3 */
function refusal({ status, header, text }: Reply): Error {
  const xml = text.toString("utf8");
  // S3 has none; in text "<" is always escaped.
  if (/<!(DOCTYPE|ENTITY)/i.test(xml))
    return new PbError("protocol_violation", "a reply brings definitions of its own (DTD)");
  const name = within(xml, "Code") ?? (status === 404 ? "NotFound" : "the server refused");
  const retryAfter = header("retry-after");
  return Object.assign(new Error(within(xml, "Message") ?? ""), {
    name,
    $metadata: { httpStatusCode: status },
    $response: { headers: retryAfter === undefined ? {} : { "retry-after": retryAfter } },
  });
}

const ESCAPED: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function within(xml: string, element: string): string | undefined {
  const [, text] = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml) ?? [];
  return text?.replace(/&(lt|gt|quot|apos|amp);/g, (_all, name: string) => ESCAPED[name] ?? "");
}
