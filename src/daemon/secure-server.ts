/**
 * TLS 1.3 and HTTP/2 over connections that the native listener hands in. A client certificate is asked for and not
 * demanded: enrolment and /healthz come without one, and the gate decides about everything else.
 */

import { closeSync } from "node:fs";
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  constants as http2,
  type ServerHttp2Session,
} from "node:http2";
import { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Credential } from "../credential/x509.ts";

export type Handler = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

export interface SecureServerOptions {
  readonly credential: Credential;
  /** PEM of the authority; sent along, so that an enrolling client can compare its fingerprint. */
  readonly authority: string;
  readonly handler: Handler;
  /** A handshake has completed. */
  readonly onSecure: (socket: TLSSocket) => void;
  /** For the log: what went wrong before there was a call. */
  readonly onProblem: (what: string, peer: string, error?: unknown) => void;
  /** Bounds a whole handshake; default 10 s. */
  readonly handshakeMs?: number;
}

export interface SecureServer {
  /** Takes over a TCP connection (a descriptor, or a socket). */
  accept(connection: number | Socket, peer: string): void;
  /** For new connections. */
  setCredential(credential: Credential): void;
  /** Tells every connection that no new calls are taken; resolves when all have ended, or the time is over. */
  goAway(timeoutMs: number): Promise<void>;
  /** Idempotent. Ends every connection. */
  close(): void;
}

/** Handshakes not done by then are cut off (T12). */
const HANDSHAKE_MS = 10_000;
/** Connections at once; one client needs one. */
const MAX_CONNECTIONS = 4096;
/**
 * Of these, so many may be in the handshake. Beyond it the oldest is dropped: an honest one is done after two round trips,
 * a stalled one (T12) is what grows old.
 */
const MAX_HANDSHAKES = 512;
const MAX_STREAMS = 256;
/**
 * So long a client may end its connection itself once it is told to. Where the server does, a client on Node 22 loses what
 * it has received and not yet read.
 */
const TAKE_LEAVE_MS = 500;
const MAX_HEADER_BYTES = 16 * 1024;
/** Streams that a peer may cancel early, in a burst and then for each second (CVE-2023-44487). */
const RESET_BURST = 200;
const RESETS_PER_SECOND = 20;

export function createSecure(options: SecureServerOptions): SecureServer {
  const { authority, handler, onSecure, onProblem, handshakeMs = HANDSHAKE_MS } = options;
  const contextOf = ({ certificate, key }: Credential) => ({
    cert: certificate + authority,
    key,
    ca: authority,
    minVersion: "TLSv1.3" as const,
  });
  const server = createSecureServer({
    ...contextOf(options.credential),
    allowHTTP1: true,
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: handshakeMs,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // Megabytes.
    maxSessionMemory: 16,
    maxHeaderListPairs: 64,
    settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEADER_BYTES, enablePush: false },
  });
  /** By `idOf`. */
  const sockets = new Map<string, Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const handshakes = new Map<string, NodeJS.Timeout>();
  let closed = false;

  function endHandshake(peer: string): void {
    clearTimeout(handshakes.get(peer));
    handshakes.delete(peer);
  }

  function dropOldest(): void {
    const [oldest = ""] = handshakes.keys();
    endHandshake(oldest);
    onProblem("dropped: too many handshakes", oldest);
    sockets.get(oldest)?.destroy();
  }

  function adopt(socket: Socket, peer: string): void {
    const id = idOf(socket);
    if (closed || id === "" || sockets.size >= MAX_CONNECTIONS) {
      onProblem("dropped: too many connections", peer);
      socket.destroy();
      return;
    }
    if (handshakes.size >= MAX_HANDSHAKES) dropOldest();
    sockets.set(id, socket);
    // The time bounds the whole handshake; Node's own starts again with every byte.
    const late = setTimeout(() => {
      onProblem("dropped: no handshake in time", peer);
      socket.destroy();
    }, handshakeMs);
    handshakes.set(id, late);
    socket.once("close", () => {
      if (sockets.get(id) === socket) sockets.delete(id);
      if (handshakes.get(id) === late) endHandshake(id);
    });
    socket.setNoDelay(true);
    server.emit("connection", socket);
  }

  server.on("secureConnection", (socket: TLSSocket) => {
    endHandshake(idOf(socket));
    onSecure(socket);
  });
  server.on("tlsClientError", (error, socket) => {
    onProblem("handshake failed", socket.remoteAddress ?? "", error);
    socket.destroy();
  });
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", (error) =>
      onProblem("connection failed", session.socket?.remoteAddress ?? "", error),
    );
    const id = session.socket ? idOf(session.socket) : "";
    guardResets(session, () => {
      onProblem("dropped: too many cancelled calls", id);
      // Ending the session alone would wait for a peer that need not do anything.
      sockets.get(id)?.destroy();
    });
  });
  server.on("request", handler);

  return {
    accept(connection, peer) {
      try {
        const socket = typeof connection === "number" ? new Socket({ fd: connection }) : connection;
        socket.on("error", (error) => onProblem("connection failed", peer, error));
        adopt(socket, peer);
      } catch (error) {
        onProblem("cannot take the connection", peer, error);
        if (typeof connection === "number") closeSync(connection);
      }
    },
    setCredential: (credential) => server.setSecureContext(contextOf(credential)),
    async goAway(timeoutMs) {
      const told = [...sessions];
      const ended = Promise.all(
        told.map((session) => new Promise((resolve) => session.once("close", resolve))),
      );
      for (const session of told) if (!session.destroyed) session.goaway(http2.NGHTTP2_NO_ERROR);
      if (await isOver(ended, Math.min(timeoutMs, TAKE_LEAVE_MS))) return;
      for (const session of told) session.close();
      await isOver(ended, timeoutMs - TAKE_LEAVE_MS);
    },
    close() {
      closed = true;
      for (const timer of handshakes.values()) clearTimeout(timer);
      for (const session of sessions) session.destroy();
      for (const socket of sockets.values()) socket.destroy();
    },
  };
}

/** Whether it resolves within the time. */
async function isOver(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false);
  });
  const over = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return over;
}

/** Address and port tell connections to one port apart, on the raw socket and on the TLS socket above it. */
function idOf(socket: Socket): string {
  return socket.remoteAddress === undefined ? "" : `${socket.remoteAddress} ${socket.remotePort}`;
}

/** A peer that opens calls only to cancel them is cut off (T13). */
function guardResets(session: ServerHttp2Session, cut: () => void): void {
  let level = RESET_BURST;
  let at = performance.now();
  session.on("stream", (stream) => {
    stream.once("close", () => {
      if (stream.rstCode !== http2.NGHTTP2_CANCEL) return;
      const now = performance.now();
      level = Math.min(RESET_BURST, level + ((now - at) / 1000) * RESETS_PER_SECOND) - 1;
      at = now;
      if (level < 0) cut();
    });
  });
}
