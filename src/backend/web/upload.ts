/** A PUT whose bytes come piece by piece. */
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { PbError } from "../../model/error.ts";
import { refuseAborted, unlessAborted } from "../signals.ts";
import type { WebClient } from "./client.ts";

/** What is on the way before a write waits; a socket's own buffer comes to it. */
const AHEAD_BYTES = 1024 * 1024;

export interface Upload {
  /** Bytes that were written. */
  readonly sent: number;
  /** Resolves when the connection has taken them; the server confirms all of them at the end. @throws what the request failed with, and again at each later call */
  write(parts: readonly Uint8Array[], signal: AbortSignal): Promise<void>;
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

export function startUpload(client: WebClient, { path, size, headers = {} }: UploadOptions): Upload {
  const stopper = new AbortController();
  const length = Number.isFinite(size) ? { "content-length": String(size) } : {};
  const body = new PassThrough({ highWaterMark: AHEAD_BYTES });
  // Told through `answered`.
  body.on("error", () => {});
  let failure: PbError | undefined;
  const answered = client
    .send({
      method: "PUT",
      path,
      headers: { ...length, "content-type": "application/octet-stream", ...headers },
      body,
      signal: stopper.signal,
    })
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
      refuseAborted(signal);
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
      refuseAborted(signal);
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
