/** Content of web servers, between the socket and the memory of a pump's calls: native/pb-io/src/web, as promises and `PbError`s. */
import { setMaxListeners } from "node:events";
import { PbError } from "../model/error.ts";
import { type Addon, addon } from "./addon.ts";
import { createIntake } from "./intake.ts";
import { callsOf } from "./pump.ts";
import type {
  ExchangeRequest,
  Fetched,
  Fetcher,
  FetcherOptions,
  FetchRequest,
  Intake,
  SendRequest,
  SendStream,
  Sent,
  SmallReply,
  SmallRequest,
  StreamRequest,
  Sums,
  SumsRequest,
} from "./types.ts";

/** A server that could not be asked in this way is not asked so again before that: certificates and proxies don't change by the minute. */
const UNSUITED_MS = 60_000;
/** So many small files in a row that have to be asked for twice are enough. */
const MOST_OTHERS = 8;
const CRC32_BYTES = 4;

/** Nothing is opened before the first request. */
export function openFetcher(options: FetcherOptions): Fetcher {
  return new NativeFetcher(options);
}

type Handle = Addon.NativeFetcher;
type News = Addon.NativeFetched;

interface Settle<T> {
  readonly resolve: (result: T) => void;
  readonly reject: (error: PbError) => void;
}

/** What the engine is asked to do. */
interface Work<T> {
  readonly origin: string;
  readonly signal: AbortSignal;
  /** False: what it is about is over. */
  readonly start: (handle: Handle, number: number) => boolean;
  /** True: that was the end. */
  readonly hear: (news: News, settle: Settle<T>, handle: Handle) => boolean;
}

class NativeFetcher implements Fetcher {
  readonly #options: FetcherOptions;
  /** By "http:" and "https:": only the latter needs to know whom to trust. */
  readonly #handles = new Map<string, Handle>();
  /** By the number of the work. */
  readonly #hearers = new Map<number, (news: News) => void>();
  /** Small files in a row that came in another way, by origin. */
  readonly #others = new Map<string, number>();
  readonly #unsuitedUntil = new Map<string, number>();
  #next = 0;
  #isClosed = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  async fetch(request: FetchRequest): Promise<Fetched> {
    const { origin, status, memory, signal } = request;
    const calls = callsOf(memory);
    if (this.#isUnsuited(origin)) return { kind: "unsuited", why: AGAIN };
    const wanted = { ...targetOf(request), status, calls: calls.numbers };

    return this.#run<Fetched>({
      origin,
      signal,
      start(handle, number) {
        calls.filling = { left: () => handle.left(number), split: () => handle.split(number) };
        return handle.fetch(number, calls.handle, wanted);
      },
      hear: (news, settle, handle) => {
        if (news.kind === "head") return judge(news, { request, settle, handle });
        calls.filling = undefined;
        calls.keep(news.left);
        if (news.kind === "filled") settle.resolve({ kind: "filled" });
        else if (news.kind === "refused") settle.resolve({ kind: "refused", ...saidIn(news) });
        else this.#settleWithout(origin, news, settle);
        return true;
      },
    });
  }

  async send(request: SendRequest): Promise<Sent> {
    const { handle: pump, numbers } = callsOf(request.memory);
    return this.#upload(request, (handle, number) => handle.upload(number, pump, numbers, uploadOf(request)));
  }

  stream(request: StreamRequest): SendStream {
    let at: { readonly handle: Handle; readonly number: number } | undefined;
    let taken: ((isTaken: boolean) => void) | undefined;
    const start = (handle: Handle, number: number) => {
      at = { handle, number };
      return handle.beginUpload(number, uploadOf(request));
    };
    const answer = this.#upload(request, start, (isTaken) => taken?.(isTaken));
    const over = () => {
      at = undefined;
      taken?.(false);
    };
    answer.then(over, over);
    return {
      answer,
      push(memory) {
        const { handle: pump, numbers } = callsOf(memory);
        return new Promise((resolve) => {
          taken = resolve;
          if (at === undefined || !at.handle.push(at.number, pump, numbers)) resolve(false);
        });
      },
      finish: () => at?.handle.finish(at.number),
    };
  }

  async #upload(
    { origin, signal }: Pick<StreamRequest, "origin" | "signal">,
    start: Work<Sent>["start"],
    onPiece: (isTaken: boolean) => void = () => {},
  ): Promise<Sent> {
    if (this.#isUnsuited(origin)) return { kind: "unsuited", why: AGAIN };
    return this.#run<Sent>({
      origin,
      signal,
      start,
      hear: (news, settle) => {
        const isPiece = news.kind === "taken" || news.kind === "dropped";
        if (isPiece) onPiece(news.kind === "taken");
        else if (news.kind === "answered") settle.resolve({ kind: "answered", ...saidIn(news) });
        else this.#settleWithout(origin, news, settle);
        return !isPiece;
      },
    });
  }

  async sums({ origin, memory, sha256, signal }: SumsRequest): Promise<Sums | undefined> {
    const { handle: pump, numbers } = callsOf(memory);
    if (this.#isUnsuited(origin)) return undefined;
    return this.#run<Sums>({
      origin,
      signal,
      start: (handle, number) => handle.sum(number, pump, numbers, sha256),
      hear: ({ text = NOTHING }, { resolve }) => {
        resolve({ crc32: text.subarray(0, CRC32_BYTES), sha256: text.subarray(CRC32_BYTES) });
        return true;
      },
    });
  }

  receive(from: { readonly host: string; readonly port: number }): Intake {
    const number = this.#newNumber();
    const handle = this.#isClosed ? undefined : this.#handleOf("http:");
    const { hear, intake } = createIntake(from, {
      handle,
      number,
      onEnd: () => this.#hearers.delete(number),
    });
    if (handle) this.#hearers.set(number, hear);
    return intake;
  }

  #newNumber(): number {
    const number = this.#next;
    this.#next = (this.#next + 1) % 2 ** 32;
    return number;
  }

  async small({ memory, ...request }: SmallRequest): Promise<SmallReply | undefined> {
    const calls = callsOf(memory);
    const [call] = calls.numbers;
    if (call === undefined) return undefined;
    const wanted = { ...targetOf(request), method: "GET" };
    return this.#ask(request.origin, (handle, number) => handle.small(number, calls.handle, call, wanted));
  }

  exchange({ method, body, ...request }: ExchangeRequest): Promise<SmallReply | undefined> {
    const wanted = { ...targetOf(request), method };
    return this.#ask(request.origin, (handle, number) => handle.exchange(number, wanted, body));
  }

  /** On the engine's thread for small questions, where that can be. */
  async #ask(origin: string, start: Work<unknown>["start"]) {
    if (this.#isClosed || !origin.startsWith("http:") || this.#isUnsuited(origin)) return undefined;
    const others = this.#others.get(origin) ?? 0;
    if (others >= MOST_OTHERS) return undefined;
    const number = this.#newNumber();
    const news = await new Promise<News | undefined>((resolve) => {
      this.#hearers.set(number, resolve);
      if (!start(this.#handleOf("http:"), number)) resolve(undefined);
    });
    this.#hearers.delete(number);
    const isAnswer = news !== undefined && news.kind !== "another";
    this.#others.set(origin, isAnswer ? 0 : (this.#others.get(origin) ?? 0) + 1);
    return isAnswer ? saidIn(news) : undefined;
  }

  warm(origin: string, connections: number): void {
    if (this.#isClosed || this.#isUnsuited(origin)) return;
    const url = new URL(origin);
    this.#handleOf(url.protocol).warm(addressOf(url), connections);
  }

  #run<T>({ origin, signal, start, hear }: Work<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const over = () => new PbError("aborted", "interrupted", { cause: signal.reason });
      if (signal.aborted || this.#isClosed) return reject(over());
      const handle = this.#handleOf(new URL(origin).protocol);
      const number = this.#newNumber();
      const end = () => {
        this.#hearers.delete(number);
        signal.removeEventListener("abort", stop);
      };
      const stop = () => {
        handle.cancel(number);
        end();
        reject(over());
      };
      this.#hearers.set(number, (news) => {
        if (hear(news, { resolve, reject }, handle)) end();
      });
      // As many wait for one signal as there are requests.
      setMaxListeners(0, signal);
      signal.addEventListener("abort", stop, { once: true });
      if (start(handle, number)) return;
      end();
      reject(over());
    });
  }

  #isUnsuited(origin: string): boolean {
    return (this.#unsuitedUntil.get(origin) ?? 0) > performance.now();
  }

  #handleOf(protocol: string): Handle {
    const known = this.#handles.get(protocol);
    if (known) return known;
    const { connectMs, headMs, bodyMs, idle, authorities } = this.#options;
    const pem = protocol === "https:" ? (authorities ?? ofThisProcess()) : "";
    const options = { connectMs, headMs, bodyMs, idle, authorities: Buffer.from(pem) };
    const made = new (addon().NativeFetcher)(options, (news) => this.#hearers.get(news.number)?.(news));
    this.#handles.set(protocol, made);
    return made;
  }

  #settleWithout(
    origin: string,
    { kind, text = NOTHING }: News,
    { resolve, reject }: Settle<{ readonly kind: "unsuited"; readonly why: string }>,
  ): void {
    if (kind === "unsuited") {
      this.#unsuitedUntil.set(origin, performance.now() + UNSUITED_MS);
      resolve({ kind, why: text.toString("utf8") });
    } else reject(brokenError(kind));
  }

  close(): void {
    this.#isClosed = true;
    for (const handle of this.#handles.values()) handle.close();
  }
}

const NOTHING = Buffer.alloc(0);
const AGAIN = "it was not, a moment ago";

/** By origin; a transfer has one, or two. */
const addresses = new Map<string, ReturnType<typeof addressOf> & { readonly name: string }>();
const MOST_ADDRESSES = 64;

function whereIs(origin: string) {
  const known = addresses.get(origin);
  if (known) return known;
  const url = new URL(origin);
  const found = { ...addressOf(url), name: url.host };
  if (addresses.size >= MOST_ADDRESSES) addresses.clear();
  addresses.set(origin, found);
  return found;
}

function addressOf({ protocol, hostname, port }: URL) {
  const tls = protocol === "https:";
  return { tls, host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) || (tls ? 443 : 80) };
}

function targetOf({ origin, path, headers }: Pick<FetchRequest, "origin" | "path" | "headers">) {
  const { name, ...address } = whereIs(origin);
  return { ...address, target: path, headers: ["host", name, ...Object.entries(headers).flat()] };
}

const uploadOf = (request: StreamRequest) => ({ ...targetOf(request), method: request.method });

interface Judging {
  readonly request: FetchRequest;
  readonly settle: Settle<Fetched>;
  readonly handle: Handle;
}

function judge(news: News, { request, settle, handle }: Judging): boolean {
  try {
    request.check(saidIn(news));
    handle.judge(news.number, true);
  } catch (error) {
    // The end that is told now is no news to who waits.
    settle.reject(PbError.from(error));
    handle.judge(news.number, false);
  }
  return false;
}

function saidIn({ status, headers, text = NOTHING }: News): SmallReply {
  return { status, headers: headersOf(headers), text };
}

function brokenError(kind: string): PbError {
  if (kind === "cancelled" || kind === "rejected") return new PbError("aborted", "interrupted");
  return kind === "timeout"
    ? new PbError("timeout", "the server stands still in the middle of an answer")
    : new PbError("connection_lost", "the connection ended in the middle of an answer");
}

/** Whom this process trusts; nobody where that can't be told, so that it is decided by whoever can. */
function ofThisProcess(): string {
  // Loaded by whoever asks a server with TLS, and not at each start.
  const tls = process.getBuiltinModule("node:tls");
  // From Node 22.15.
  const { getCACertificates } = tls as { readonly getCACertificates?: (of: "default") => readonly string[] };
  if (getCACertificates) return getCACertificates("default").join("\n");
  const flags = [process.env.NODE_OPTIONS ?? "", ...process.execArgv].join(" ");
  return flags.includes("--use-openssl-ca") ? "" : tls.rootCertificates.join("\n");
}

/** From names and values in turn. */
function headersOf(pairs: readonly string[]): Readonly<Record<string, string | string[]>> {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const [name = "", value = ""] = pairs.slice(at, at + 2);
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
