/** One SFTP session: requests go out without waiting for each other, replies find their request by its number. */

import type { Duplex } from "node:stream";
import { PbError } from "../../model/error.ts";
import { aborted } from "../signals.ts";
import { createFrames } from "./frames.ts";
import { FXP, readerOf, STATUS, text, u32 } from "./packets.ts";

export interface Reply {
  readonly type: number;
  readonly body: Buffer;
}

/** A status that is not OK; what it means for a path is decided by who asked. */
export class SftpStatus extends Error {
  readonly status: number;
  /** The server's own words. */
  readonly said: string;

  constructor(status: number, said: string) {
    super(`SFTP status ${status}`);
    this.status = status;
    this.said = said;
  }
}

export interface SftpSession {
  /** Extensions that the server offers, by name. */
  readonly extensions: ReadonlyMap<string, string>;
  /** Bytes and requests that wait for a reply. */
  readonly load: number;
  readonly closed: boolean;
  /** @throws SftpStatus; PbError `connection_lost`, `timeout`, `aborted`, `protocol_violation` */
  request(type: number, fields: readonly Uint8Array[], signal?: AbortSignal): Promise<Reply>;
  /** Into `into`; fewer bytes only at the end of the file, 0 beyond it. @throws as `request` */
  read(handle: Uint8Array, offset: number, options: ReadOptions): Promise<number>;
  /** Ends it; what waits is rejected with `reason`. Idempotent. */
  fail(reason: PbError): void;
}

export interface ReadOptions {
  /** Not written to any more once the promise has settled. */
  readonly into: Uint8Array;
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
  readonly cost: number;
  /** Of a read: undefined once nobody waits. */
  into?: Uint8Array | undefined;
  taken?: (bytes: number) => void;
}

/** No byte from the server for this long while it owes a reply: it is not going to come. An fsync of much may take minutes. */
const SILENCE_MS = 300_000;
/** What a request costs beside its data, in bytes; for `load` only. */
const REQUEST_COST = 1_024;
const VERSION = 3;

/** Greets the server. @throws PbError `protocol_violation`, `unsupported_version`, `connection_lost` */
export async function openSession(channel: Duplex, peer: string): Promise<SftpSession> {
  const waiting = new Map<number, Waiting>();
  const extensions = new Map<string, string>();
  let nextId = 0;
  let load = 0;
  let ended: PbError | undefined;
  let greeted: (error?: PbError) => void = () => {};
  let silence: NodeJS.Timeout | undefined;

  function fail(reason: PbError): void {
    if (ended) return;
    ended = reason;
    clearTimeout(silence);
    greeted(reason);
    const all = [...waiting.values()];
    waiting.clear();
    load = 0;
    for (const { reject } of all) reject(reason);
    channel.destroy();
  }

  const take = (id: number): Waiting | undefined => {
    const found = waiting.get(id);
    if (found === undefined) return undefined;
    waiting.delete(id);
    load -= found.cost;
    return found;
  };

  const frames = createFrames({
    sink: (id) => waiting.get(id)?.into,
    data(id, bytes) {
      const found = take(id);
      if (found === undefined) throw unasked();
      if (found.taken) found.taken(bytes);
      else found.reject(unexpected(FXP.data));
    },
    reply(type, id, body) {
      if (type === FXP.version) return greet(id, body);
      const found = take(id);
      if (found === undefined) throw unasked();
      if (type === FXP.status) settleStatus(found, body);
      else if (found.taken) found.reject(unexpected(type));
      else found.resolve({ type, body });
    },
  });

  function greet(version: number, body: Buffer): void {
    if (version < VERSION) {
      greeted(new PbError("unsupported_version", `it speaks SFTP version ${version}, not 3`, { peer }));
      return;
    }
    const reader = readerOf(body);
    while (reader.left > 0) {
      const name = Buffer.from(reader.text()).toString("latin1");
      extensions.set(name, Buffer.from(reader.text()).toString("latin1"));
    }
    greeted();
  }

  function watch(): void {
    clearTimeout(silence);
    if (waiting.size === 0 || ended) return;
    silence = setTimeout(() => {
      fail(new PbError("timeout", `no answer for ${SILENCE_MS / 1_000} s`, { peer }));
    }, SILENCE_MS);
    silence.unref();
  }

  channel.on("data", (chunk: Buffer) => {
    try {
      if (!ended) frames.push(chunk);
      watch();
    } catch (error) {
      fail(PbError.from(error, "protocol_violation", { peer }));
    }
  });
  const lost = (cause?: unknown) =>
    fail(new PbError("connection_lost", "the connection ended", { peer, ...(cause ? { cause } : {}) }));
  channel.on("error", lost);
  channel.once("end", () => lost());
  channel.once("close", () => lost());

  function send(type: number, fields: readonly Uint8Array[], entry: Waiting): number {
    nextId = (nextId + 1) >>> 0;
    const id = nextId;
    const length = fields.reduce((sum, field) => sum + field.length, 5);
    const packet = Buffer.concat([u32(length), Buffer.from([type]), u32(id), ...fields], length + 4);
    waiting.set(id, entry);
    load += entry.cost;
    channel.write(packet);
    if (silence === undefined || waiting.size === 1) watch();
    return id;
  }

  function ask(
    type: number,
    fields: readonly Uint8Array[],
    { signal, read }: { signal?: AbortSignal | undefined; read?: Uint8Array },
  ): Promise<Reply | number> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(aborted(signal));
      if (ended) return reject(ended);
      const done = () => signal?.removeEventListener("abort", stop);
      const cost = REQUEST_COST + (read?.length ?? 0) + fields.reduce((sum, field) => sum + field.length, 0);
      const entry: Waiting = {
        cost,
        into: read,
        resolve: (reply) => {
          done();
          resolve(reply);
        },
        reject: (error) => {
          done();
          reject(error);
        },
        ...(read && {
          taken: (bytes: number) => {
            done();
            resolve(bytes);
          },
        }),
      };
      // The reply still comes, and is thrown away.
      const stop = () => {
        entry.into = undefined;
        if (signal) reject(aborted(signal));
      };
      signal?.addEventListener("abort", stop, { once: true });
      send(type, fields, entry);
    });
  }

  const session: SftpSession = {
    extensions,
    get load() {
      return load;
    },
    get closed() {
      return ended !== undefined;
    },
    request: (type, fields, signal) => ask(type, fields, { signal }) as Promise<Reply>,
    async read(handle, offset, { into, signal }) {
      const position = Buffer.allocUnsafe(12);
      position.writeBigUInt64BE(BigInt(offset));
      position.writeUInt32BE(into.length, 8);
      try {
        return (await ask(FXP.read, [text(handle), position], { signal, read: into })) as number;
      } catch (error) {
        if (error instanceof SftpStatus && error.status === STATUS.eof) return 0;
        throw error;
      }
    },
    fail,
  };
  await new Promise<void>((resolve, reject) => {
    greeted = (error) => (error ? reject(error) : resolve());
    channel.write(Buffer.concat([u32(5), Buffer.from([FXP.init]), u32(VERSION)]));
  });
  return session;
}

function settleStatus(found: Waiting, body: Buffer): void {
  const reader = readerOf(body);
  const status = reader.u32();
  if (status === STATUS.ok) {
    found.resolve({ type: FXP.status, body });
    return;
  }
  const said = reader.left > 4 ? Buffer.from(reader.text()).toString("utf8") : "";
  found.reject(new SftpStatus(status, said));
}

const unasked = () => new PbError("protocol_violation", "the SFTP server answered what was not asked");
const unexpected = (type: number) =>
  new PbError(
    "protocol_violation",
    `the SFTP server answered with ${type}, which does not fit what was asked`,
  );
