/** Content of web servers, read from the socket into the memory of a pump's calls: native/pb-io/src/web, as promises and `PbError`s. */
import { setMaxListeners } from "node:events";
import { PbError } from "../model/error.ts";
import { type Addon, addon } from "./addon.ts";
import { CallMemory } from "./pump.ts";
import type { Fetched, FetchedHead, Fetcher, FetcherOptions, FetchRequest } from "./types.ts";

/** A server that could not be asked in this way is not asked so again before that: certificates and proxies don't change by the minute. */
const UNSUITED_MS = 60_000;

/** Nothing is opened before the first `fetch`. */
export function openFetcher(options: FetcherOptions): Fetcher {
  return new NativeFetcher(options);
}

interface Waiting {
  readonly request: FetchRequest;
  readonly memory: CallMemory;
  readonly handle: Addon.NativeFetcher;
  readonly resolve: (fetched: Fetched) => void;
  readonly reject: (error: PbError) => void;
  readonly release: () => void;
}

class NativeFetcher implements Fetcher {
  readonly #options: FetcherOptions;
  /** By "http:" and "https:": only the latter needs to know whom to trust. */
  readonly #handles = new Map<string, Addon.NativeFetcher>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #unsuitedUntil = new Map<string, number>();
  #next = 0;
  #isClosed = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  fetch(request: FetchRequest): Promise<Fetched> {
    const { origin, path, headers, status, memory, signal } = request;
    if (!(memory instanceof CallMemory)) throw new PbError("internal", "memory of another engine");
    return new Promise((resolve, reject) => {
      const over = () => new PbError("aborted", "interrupted", { cause: signal.reason });
      if (signal.aborted || this.#isClosed) return reject(over());
      if ((this.#unsuitedUntil.get(origin) ?? 0) > performance.now())
        return resolve({ kind: "unsuited", why: "it was not, a moment ago" });
      const url = new URL(origin);
      const tls = url.protocol === "https:";
      const handle = this.#handleOf(url.protocol);
      const number = this.#next;
      this.#next = (this.#next + 1) % 2 ** 32;
      const wanted = {
        tls,
        host: url.hostname.replace(/^\[|\]$/g, ""),
        port: Number(url.port) || (tls ? 443 : 80),
        target: path,
        headers: ["host", url.host, ...Object.entries(headers).flat()],
        status,
        calls: memory.numbers,
      };
      const stop = () => {
        handle.cancel(number);
        this.#waiting.get(number)?.reject(over());
        this.#waiting.delete(number);
      };
      const release = () => signal.removeEventListener("abort", stop);
      this.#waiting.set(number, { request, memory, handle, resolve, reject, release });
      // As many wait for one signal as there are fetches.
      setMaxListeners(0, signal);
      signal.addEventListener("abort", stop, { once: true });
      if (handle.fetch(number, memory.handle, wanted)) return;
      release();
      this.#waiting.delete(number);
      reject(over());
    });
  }

  #handleOf(protocol: string): Addon.NativeFetcher {
    const known = this.#handles.get(protocol);
    if (known) return known;
    const { connectMs, headMs, bodyMs, idle, authorities } = this.#options;
    const pem = protocol === "https:" ? (authorities ?? ofThisProcess()) : "";
    const options = { connectMs, headMs, bodyMs, idle, authorities: Buffer.from(pem) };
    const made = new (addon().NativeFetcher)(options, (fetched) => this.#hear(fetched));
    this.#handles.set(protocol, made);
    return made;
  }

  #hear(news: Addon.NativeFetched): void {
    const { number, kind, status, headers, left } = news;
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    if (kind === "head") {
      this.#judge(waiting, number, { status, headers: headersOf(headers) });
      return;
    }
    this.#waiting.delete(number);
    waiting.release();
    waiting.memory.keep(left);
    this.#settle(waiting, news);
  }

  #judge({ request, handle, reject }: Waiting, number: number, head: FetchedHead): void {
    try {
      request.check(head);
      handle.judge(number, true);
    } catch (error) {
      // The end that is told now is no news to who waits.
      reject(PbError.from(error));
      handle.judge(number, false);
    }
  }

  #settle({ request, resolve, reject }: Waiting, { kind, status, headers, text }: Addon.NativeFetched): void {
    if (kind === "filled") resolve({ kind });
    else if (kind === "refused") resolve({ kind, status, headers: headersOf(headers), text });
    else if (kind === "unsuited") {
      this.#unsuitedUntil.set(request.origin, performance.now() + UNSUITED_MS);
      resolve({ kind, why: text.toString("utf8") });
    } else reject(brokenError(kind));
  }

  close(): void {
    this.#isClosed = true;
    for (const handle of this.#handles.values()) handle.close();
  }
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
