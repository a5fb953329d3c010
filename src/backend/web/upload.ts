/** A PUT whose bytes come piece by piece: from memory of the engine past JavaScript where that can be, else as a stream of it. */
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { PbError } from "../../model/error.ts";
import type { SendableMemory, SendStream } from "../fetching.ts";
import { refuseAborted, unlessAborted } from "../signals.ts";
import type { WebClient } from "./client.ts";

/** What is on the way before a write waits; a socket's own buffer comes to it. */
const AHEAD_BYTES = 1024 * 1024;

export interface Upload {
  /** Bytes that were written. */
  readonly sent: number;
  /** Resolves when the connection has taken them; the server confirms all of them at the end. @throws what the request failed with, and again at each later call */
  write(parts: readonly Uint8Array[], signal: AbortSignal): Promise<void>;
  /** As `ChunkSink.writeFrom`. */
  writeFrom(memory: SendableMemory, signal: AbortSignal): Promise<boolean>;
  /** Ends it; the server has all of it. */
  finish(signal: AbortSignal): Promise<void>;
  /** Breaks it off where it still runs. Idempotent. */
  stop(): Promise<void>;
}

/** @throws PbError `verification_failed` when the server has not what was sent */
export function refuseOtherSize(
  { peer }: WebClient,
  path: string,
  { sent, there }: { readonly sent: number; readonly there: number },
): void {
  if (there === sent) return;
  throw new PbError("verification_failed", `${peer}: the server has ${there} bytes instead of ${sent}`, {
    path,
    peer,
  });
}

export interface UploadOptions {
  readonly path: string;
  /** Infinity: not known yet; it goes in pieces then (RFC 9112 section 7.1). */
  readonly size: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Nothing is sent before the first write, which tells in which way. */
export function startUpload(client: WebClient, options: UploadOptions): Upload {
  // A size that is told at the end goes in pieces that tell theirs, and those JavaScript alone sends.
  let isSuited = Number.isFinite(options.size);
  let engine: EngineUpload | undefined;
  let piped: PipedUpload | undefined;
  const begun = () => {
    piped ??= engine === undefined ? pipe(client, options) : undefined;
    return piped;
  };
  return {
    get sent() {
      return (engine ?? piped)?.sent ?? 0;
    },
    async write(parts, signal) {
      refuseAborted(signal);
      const body = begun();
      if (body === undefined) throw new PbError("internal", "a write in another way than those before it");
      await body.write(parts, signal);
    },
    async writeFrom(memory, signal) {
      refuseAborted(signal);
      if (!isSuited || piped) return false;
      engine ??= throughEngine(client, options);
      isSuited = await engine.writeFrom(memory, signal);
      if (!isSuited) engine = undefined;
      return isSuited;
    },
    async finish(signal) {
      refuseAborted(signal);
      await (engine ?? begun())?.finish(signal);
    },
    async stop() {
      await (engine ?? piped)?.stop();
    },
  };
}

type PipedUpload = Omit<Upload, "writeFrom">;
/** What it could not send, it has sent nothing of. */
type EngineUpload = Omit<Upload, "write">;

const headersOf = ({ size, headers = {} }: UploadOptions) => ({
  ...(Number.isFinite(size) ? { "content-length": String(size) } : {}),
  "content-type": "application/octet-stream",
  ...headers,
});

function throughEngine(client: WebClient, options: UploadOptions): EngineUpload {
  const { path } = options;
  const stopper = new AbortController();
  let sent = 0;
  let failure: PbError | undefined;
  let answered: Promise<void> = Promise.resolve();
  const begin = () =>
    new Promise<SendStream | undefined>((begun) => {
      const request = { path, headers: headersOf(options), signal: stopper.signal, onBegun: begun };
      answered = Promise.resolve(client.putStream?.(request))
        .then((answer) => {
          if (answer || sent === 0) return;
          failure = new PbError("protocol_violation", `${client.peer}: the server's answer is none of HTTP`, {
            path,
            peer: client.peer,
          });
        })
        .catch((error: unknown) => {
          failure = PbError.from(error);
        })
        .finally(() => begun(undefined));
    });
  let stream: Promise<SendStream | undefined> | undefined;
  return {
    get sent() {
      return sent;
    },
    async writeFrom(memory, signal) {
      stream ??= begin();
      const taken = stream.then((open) => open?.push(memory));
      const isTaken = await unlessAborted(taken, signal);
      if (isTaken) sent += memory.length;
      else await unlessAborted(answered, signal);
      if (failure) throw failure;
      return isTaken === true;
    },
    async finish(signal) {
      (await stream)?.finish();
      await unlessAborted(answered, signal);
      if (failure) throw failure;
    },
    async stop() {
      stopper.abort();
      await answered;
    },
  };
}

function pipe(client: WebClient, options: UploadOptions): PipedUpload {
  const { path } = options;
  const stopper = new AbortController();
  const body = new PassThrough({ highWaterMark: AHEAD_BYTES });
  // Told through `answered`.
  body.on("error", () => {});
  let failure: PbError | undefined;
  const answered = client
    .send({ method: "PUT", path, headers: headersOf(options), body, signal: stopper.signal })
    .then((answer) => answer.drop())
    .catch((error: unknown) => {
      failure = PbError.from(error);
      body.destroy();
    });
  let sent = 0;
  const taken = async (signal: AbortSignal) => {
    if (!body.writableNeedDrain) return;
    const drained = once(body, "drain").catch(() => {});
    await unlessAborted(Promise.race([drained, answered]), signal);
  };
  return {
    get sent() {
      return sent;
    },
    async write(parts, signal) {
      if (failure) throw failure;
      for (const part of parts) {
        // The connection may hold it for longer than this call.
        body.write(Buffer.from(part));
        sent += part.length;
      }
      await taken(signal);
      if (failure) throw failure;
    },
    async finish(signal) {
      if (failure) throw failure;
      body.end();
      await unlessAborted(answered, signal);
      if (failure) throw failure;
    },
    async stop() {
      stopper.abort();
      body.destroy();
      await answered;
    },
  };
}
