/**
 * The control connection of FTP (RFC 959): lines out, replies in, in their order. Bytes are carried as latin1 text, so that names keep
 * all of theirs. Commands may be sent before the replies of earlier ones.
 *
 * Ours, and not a library's: basic-ftp takes a reply that TCP has cut in two for two replies, and its names are text.
 */

import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";

export interface FtpReply {
  readonly code: number;
  /** Without the code; latin1. */
  readonly lines: readonly string[];
}

/** A reply of 400 or more; what it means for a path is decided by who asked. */
export class FtpRefusal extends Error {
  readonly code: number;
  /** In the server's own words. */
  readonly said: string;

  constructor({ code, lines }: FtpReply) {
    super(`FTP reply ${code}`);
    this.code = code;
    this.said = Buffer.from(lines.join(" "), "latin1").toString("utf8");
  }
}

export interface Exchange {
  /** The first reply, a preliminary one (1xx) too. @throws FtpRefusal, PbError */
  readonly first: Promise<FtpReply>;
  /** The last one. @throws FtpRefusal, PbError */
  readonly final: Promise<FtpReply>;
}

export interface Control {
  readonly socket: Socket;
  readonly closed: boolean;
  /** Replies that are still to come. */
  readonly pending: number;
  /** @throws FtpRefusal; PbError `connection_lost`, `timeout`, `protocol_violation` */
  send(command: string): Promise<FtpReply>;
  exchange(command: string): Exchange;
  /** Data moves, or should: from now on the server's silence counts. */
  alive(): void;
  /** A transfer waits for this side, and the server with it. */
  rest(): void;
  /** From here on all is encrypted, data too. @throws PbError `certificate_expired`, `fingerprint_mismatch`, `unreachable` */
  secure(options: ConnectionOptions): Promise<void>;
  /** Of the last session, for data connections: a server may insist on it. */
  readonly tls: { readonly options: ConnectionOptions; readonly session: Buffer | undefined } | undefined;
  /** Idempotent; what waits is rejected with `reason`. */
  fail(reason: PbError): void;
}

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** In errors. */
  readonly peer: string;
  /** TLS from the first byte. */
  readonly implicit?: ConnectionOptions | undefined;
}

interface Waiting {
  /** With the end of the line; "" for the greeting. */
  readonly line: string;
  readonly first: PromiseWithResolvers<FtpReply>;
  readonly final: PromiseWithResolvers<FtpReply>;
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

const DIAL_MS = 15_000;
const KEEPALIVE_MS = 30_000;
/**
 * Commands on the way before their replies. proftpd 1.3.8 loses the code of a reply now and then when dozens of commands with long paths
 * wait in its buffer; a longer one goes alone.
 */
const AHEAD_BYTES = 512;
/** Without a reply and without data, though some is due. */
const SILENCE_MS = 120_000;
/** A reply is a few lines; a listing of features some dozens. */
const MAX_REPLY_BYTES = 64 * 1024;

/** Connects and waits for the greeting. @throws PbError `unreachable`, `timeout`, `protocol_violation`; FtpRefusal */
export async function dial(options: DialOptions): Promise<Control> {
  const { host, port, peer } = options;
  let socket: Socket = connectTcp({ host, port });
  await connected(socket, "connect", options);
  let tls: { options: ConnectionOptions; session: Buffer | undefined } | undefined;
  let waiting: Waiting[] = [];
  /** Those of `waiting` that were sent, and their bytes. */
  let sent = 0;
  let sentBytes = 0;
  /** Lines of those, for the end of this microtask. */
  let unwritten = "";
  let ended: PbError | undefined;
  let silence: NodeJS.Timeout | undefined;
  let isResting = false;
  let parser = createReplies(settle);

  function settle(reply: FtpReply): void {
    const [head] = waiting;
    if (head === undefined) {
      // 421: it closes by itself, after some time without a command.
      const said = reply.code === 421 ? lost(reply.lines.join(" ")) : undefined;
      fail(said ?? new PbError("protocol_violation", "a reply to nothing", { peer }));
    } else if (reply.code < 200) head.first.resolve(reply);
    else {
      waiting.shift();
      sent -= 1;
      sentBytes -= head.line.length;
      sendMore();
      if (reply.code < 400) {
        head.first.resolve(reply);
        head.final.resolve(reply);
      } else {
        const refusal = new FtpRefusal(reply);
        head.first.reject(refusal);
        head.final.reject(refusal);
      }
    }
    watch();
  }

  function fail(reason: PbError): void {
    if (ended) return;
    ended = reason;
    clearTimeout(silence);
    const all = waiting;
    waiting = [];
    for (const { first, final } of all) {
      first.reject(reason);
      final.reject(reason);
    }
    socket.destroy();
  }

  const lost = (said = "", cause?: unknown) =>
    new PbError(
      "connection_lost",
      said === "" ? "the connection ended" : `the server says: ${displayPath(said)}`,
      {
        peer,
        ...(cause === undefined ? {} : { cause }),
      },
    );

  /** From now on; one timer for the life of the connection, as thousands come and go. */
  function watch(): void {
    if (ended) return;
    if (silence) silence.refresh();
    else silence = setTimeout(silent, SILENCE_MS).unref();
  }

  function silent(): void {
    if (waiting.length === 0 || isResting) return;
    fail(new PbError("timeout", `no answer for ${SILENCE_MS / 1_000} s`, { peer }));
  }

  function listen(): void {
    socket.on("data", (chunk: Buffer) => {
      try {
        if (!ended) parser(chunk);
      } catch (error) {
        fail(PbError.from(error, "protocol_violation", { peer }));
      }
    });
    socket.on("error", (cause) => fail(lost("", cause)));
    socket.on("close", () => fail(lost()));
  }

  /** In their order, as many as may be on the way. What is sent in one go is one write: each wakes the server. */
  function sendMore(): void {
    for (let next = waiting[sent]; next !== undefined && !ended; next = waiting[sent]) {
      if (sent > 0 && sentBytes + next.line.length > AHEAD_BYTES) return;
      sent += 1;
      sentBytes += next.line.length;
      if (unwritten === "" && next.line !== "") queueMicrotask(flush);
      unwritten += next.line;
    }
  }

  function flush(): void {
    const lines = unwritten;
    unwritten = "";
    if (!ended) socket.write(lines, "latin1");
  }

  function expect(line: string): Waiting {
    const entry = { line, first: withResolvers<FtpReply>(), final: withResolvers<FtpReply>() };
    // Who asks for one of the two need not hear of the other.
    entry.first.promise.catch(() => {});
    entry.final.promise.catch(() => {});
    if (ended) {
      entry.first.reject(ended);
      entry.final.reject(ended);
    } else waiting.push(entry);
    sendMore();
    isResting = false;
    watch();
    return entry;
  }

  async function encrypt(given: ConnectionOptions): Promise<void> {
    if (ended) throw ended;
    const plain = socket;
    // Below TLS it fails as well as above: heard there.
    plain.removeAllListeners().on("error", () => {});
    // What somebody on the way has put behind the reply in clear is not a reply of the server's.
    parser = createReplies(settle);
    const secured: TLSSocket = connectTls({ ...named(given, host), socket: plain });
    tls = { options: given, session: undefined };
    secured.on("session", (session) => {
      tls = { options: given, session };
    });
    socket = secured;
    await connected(secured, "secureConnect", options);
    listen();
  }

  const control: Control = {
    get socket() {
      return socket;
    },
    get closed() {
      return ended !== undefined;
    },
    get pending() {
      return waiting.length;
    },
    get tls() {
      return tls && { options: tls.options, session: tls.session ?? (socket as TLSSocket).getSession() };
    },
    send: (command) => control.exchange(command).final,
    exchange(command) {
      if (/[\r\n\0]/.test(command))
        throw new PbError("invalid_path", "a command of FTP is one line", { peer });
      const { first, final } = expect(`${command}\r\n`);
      return { first: first.promise, final: final.promise };
    },
    alive() {
      isResting = false;
      watch();
    },
    rest() {
      isResting = true;
    },
    secure: encrypt,
    fail,
  };
  try {
    if (options.implicit) await encrypt(options.implicit);
    else listen();
    await expect("").final.promise;
  } catch (error) {
    fail(lost());
    throw error;
  }
  return control;
}

/** Certificates are for a name; of an address SNI says nothing. */
export function named(options: ConnectionOptions, host: string): ConnectionOptions {
  return { ...options, host, ...(isIP(host) === 0 ? { servername: host } : {}) };
}

class Late extends Error {}

const CERTIFICATE_CODES = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** @throws PbError */
export async function connected(
  socket: Socket,
  event: "connect" | "secureConnect",
  { host, port, peer }: DialOptions,
): Promise<void> {
  const late = setTimeout(() => socket.destroy(new Late()), DIAL_MS).unref();
  try {
    await once(socket, event);
    // A peer that is gone is noticed while nothing is sent, too.
    if (event === "connect") socket.setNoDelay(true).setKeepAlive(true, KEEPALIVE_MS);
  } catch (cause) {
    socket.on("error", () => {}).destroy();
    const { code = "" } = cause as NodeJS.ErrnoException;
    if (cause instanceof Late)
      throw new PbError("timeout", `${host}:${port} does not answer`, { peer, cause });
    if (event === "connect")
      throw new PbError("unreachable", `${host}:${port} cannot be reached`, { peer, cause });
    if (CERTIFICATE_CODES.has(code))
      throw new PbError("certificate_expired", `${host}: the certificate is not valid today`, {
        peer,
        cause,
      });
    throw new PbError("fingerprint_mismatch", `${host}: no TLS with a certificate that is trusted`, {
      peer,
      cause,
      hint: "ca_file of the remote names the authority of a server with a certificate of its own",
    });
  } finally {
    clearTimeout(late);
  }
}

/** Whole replies from whatever pieces TCP brings (RFC 959 section 4.2). */
function createReplies(settle: (reply: FtpReply) => void): (chunk: Buffer) => void {
  let rest = "";
  let open: { code: number; lines: string[] } | undefined;

  function line(text: string): void {
    const match = /^(\d{3})([ -]|$)(.*)$/s.exec(text);
    if (open !== undefined) {
      const closes = match && Number(match[1]) === open.code && match[2] !== "-";
      open.lines.push(closes ? (match[3] ?? "") : text);
      if (!closes) return;
      const done = open;
      open = undefined;
      settle(done);
      return;
    }
    if (match === null) {
      if (text.trim() === "") return;
      throw new PbError("protocol_violation", "the server does not speak FTP");
    }
    const reply = { code: Number(match[1]), lines: [match[3] ?? ""] };
    if (match[2] === "-") open = reply;
    else settle(reply);
  }

  return (chunk) => {
    rest += chunk.toString("latin1");
    if (rest.length > MAX_REPLY_BYTES) throw new PbError("protocol_violation", "a reply that does not end");
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const text = rest.slice(0, end).replace(/\r$/, "");
      rest = rest.slice(end + 1);
      line(text);
    }
  };
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
