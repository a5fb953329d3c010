import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { TLSSocket } from "node:tls";
import { type ContextValues, createContextKey } from "@connectrpc/connect";
import { PbError } from "../model/error.ts";

/** The other end of the connection that a call came in on. */
export interface Peer {
  readonly socket: TLSSocket;
  /** IP address. */
  readonly address: string;
}

export const peerKey = createContextKey<Peer | undefined>(undefined, { description: "peer" });

/** @throws PbError `internal` where a call came over no connection */
export function peerOf(context: { readonly values: ContextValues }): Peer {
  const peer = context.values.get(peerKey);
  if (!peer) throw new PbError("internal", "the call came over no connection");
  return peer;
}

const gone = new WeakMap<Peer["socket"], AbortSignal>();

/** Aborted when the connection is closed, by whichever side: a client that was killed is seen at once by that. */
export function goneSignal({ socket }: Pick<Peer, "socket">): AbortSignal {
  const known = gone.get(socket);
  if (known) return known;
  const controller = new AbortController();
  gone.set(socket, controller.signal);
  if (socket.destroyed) controller.abort();
  else socket.once("close", () => controller.abort());
  return controller.signal;
}

export function socketOf(request: IncomingMessage | Http2ServerRequest): TLSSocket | undefined {
  // Of an HTTP/2 request `socket` is a proxy that hides what the gate asks for less than `stream.session.socket` does.
  const socket = "stream" in request ? request.stream.session?.socket : request.socket;
  return isTls(socket) ? socket : undefined;
}

/** A proxied TLS socket is no instance; it still answers for the one behind it. */
function isTls(socket: unknown): socket is TLSSocket {
  if (socket instanceof TLSSocket) return true;
  return typeof (socket as Partial<TLSSocket> | undefined)?.getPeerX509Certificate === "function";
}
