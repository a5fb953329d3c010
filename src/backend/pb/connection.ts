/** One authenticated API connection to a server: dialled at the first call, and again when it was lost. */

import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { HostPort } from "../../credential/address.ts";
import { PbError } from "../../model/error.ts";
import { dial } from "./dial.ts";
import { LastWords } from "./last-words.ts";
import { type ClientIdentity, classify, type ServerTrust, startTls } from "./tls.ts";

export interface ConnectOptions {
  readonly addresses: readonly HostPort[];
  readonly trust: ServerTrust;
  /** Absent only while enrolling. */
  readonly client?: ClientIdentity;
  /** Asked at every call: the header of that name, instead of a certificate. */
  readonly authorization?: () => Promise<string>;
  /** Interval and timeout of pings while calls are open; default 15,000 each. */
  readonly pingMs?: number | undefined;
}

/** Where a server was found. */
export interface Found extends HostPort {
  /** This machine's address on the way there. */
  readonly local: string;
}

export interface PbConnection extends AsyncDisposable {
  /** The remote's name. */
  readonly peer: string;
  readonly transport: Transport;
  /** Where the server was found; dials when nothing is connected. Data sessions go to the same place. */
  endpoint(): Promise<Found>;
  /** Makes a call whose answer nobody waits for: resolves when its request has left this process. Its failure is nobody's. */
  lastWord(call: () => Promise<unknown>): Promise<void>;
  /** Idempotent. Calls under way fail with `aborted`; only the answers to last words may still come. */
  close(): Promise<void>;
}

/** Stands for the server in URLs; the socket decides where calls go. */
const AUTHORITY = "https://packetboat";
/** A dead peer is noticed while calls are open after interval and timeout: half of the data lanes' 30 s idle timeout each. */
const PING_MS = 15_000;
/** A batch of 1,000 entries with paths of 4 KiB is 4 MiB; link targets double it. */
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;
/** What a server accepts of one request. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/** The connection is to the pinned server alone by then. */
function authorizing(authorization: () => Promise<string>): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", await authorization());
    return next(request);
  };
}

/** Sessions that have the listener below. */
const calm = new WeakSet<ClientHttp2Session>();

/**
 * A session whose ping was not answered is destroyed with an error that comes when its socket has closed. When the manager is told to
 * abort between the two, it has taken its own listener away already: the error would be nobody's, and end the process.
 */
function calmDown({ session }: ClientHttp2Stream): void {
  if (!session || calm.has(session as ClientHttp2Session)) return;
  calm.add(session as ClientHttp2Session);
  session.on("error", () => undefined);
}

/** connect-node does not export its name. */
type SessionManager = NonNullable<Parameters<typeof createGrpcTransport>[0]["sessionManager"]>;

interface Live {
  readonly manager: Http2SessionManager;
  readonly address: Found;
  readonly socket: TLSSocket;
}

/**
 * A session on a socket that had closed before it hears of nothing, so its first call would wait for two pings. Where the first call
 * comes later than the handshake, the server may have gone in between.
 */
function isLost({ manager, socket }: Live): boolean {
  const state = manager.state();
  return state === "error" || (state === "closed" && socket.destroyed);
}

export function connectPb(options: ConnectOptions): PbConnection {
  const { peer } = options.trust;
  const { pingMs = PING_MS } = options;
  const stop = new AbortController();
  const owners = new WeakMap<ClientHttp2Stream, Http2SessionManager>();
  const words = new LastWords();
  let addresses = options.addresses;
  let live: Live | undefined;
  let dialling: Promise<Live> | undefined;

  async function open(): Promise<Live> {
    const { socket, address } = await dial({ ...options, addresses, signal: stop.signal });
    // A server that moved is found again where it was found last, first.
    addresses = [address, ...addresses.filter((each) => each !== address)];
    // It has no other listener before the first call, and what it may say is told by that.
    socket.on("error", () => undefined);
    let first = true;
    const manager = new Http2SessionManager(
      AUTHORITY,
      { pingIntervalMs: pingMs, pingTimeoutMs: pingMs },
      {
        createConnection: () => {
          if (first) {
            first = false;
            return socket;
          }
          return startTls({ ...options, address });
        },
      },
    );
    // The address itself: a name may lead elsewhere the next time, and link-local ones need the zone that was given.
    const { remoteAddress = "", localAddress: local = "" } = socket;
    const host = remoteAddress === "" || remoteAddress.startsWith("fe80:") ? address.host : remoteAddress;
    live = { manager, address: { host, port: address.port, local }, socket };
    return live;
  }

  async function current(): Promise<Live> {
    if (stop.signal.aborted) throw new PbError("aborted", `the connection to ${peer} is closed`, { peer });
    if (live && !isLost(live)) return live;
    dialling ??= open().finally(() => {
      dialling = undefined;
    });
    return dialling;
  }

  const sessionManager: SessionManager = {
    authority: AUTHORITY,
    async request(method, path, headers, requestOptions) {
      const { manager, address } = await current();
      try {
        const stream = await manager.request(method, path, headers, requestOptions);
        owners.set(stream, manager);
        calmDown(stream);
        words.made(stream);
        return stream;
      } catch (error) {
        throw classify(error, peer, address);
      }
    },
    notifyResponseByteRead: (stream) => owners.get(stream)?.notifyResponseByteRead(stream),
  };

  const connection: PbConnection = {
    peer,
    transport: createGrpcTransport({
      baseUrl: AUTHORITY,
      sessionManager,
      interceptors: options.authorization ? [authorizing(options.authorization)] : [],
      // Listings compress well, but zlib is slower than the wires this is made for.
      acceptCompression: [],
      readMaxBytes: MAX_RESPONSE_BYTES,
      writeMaxBytes: MAX_REQUEST_BYTES,
    }),
    endpoint: async () => (await current()).address,
    lastWord: (call) => words.say(call),
    async close() {
      if (stop.signal.aborted) return;
      stop.abort();
      await dialling?.catch(() => {});
      const { answered } = words;
      if (!live || !answered) {
        live?.manager.abort();
        return;
      }
      const { manager, socket } = live;
      // To reset a request as soon as it was made could take it back; nor may its answer hold the process.
      socket.unref();
      void answered.then(() => manager.abort());
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
  return connection;
}
