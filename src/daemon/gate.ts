/**
 * The one gate (T5). Every call of every service needs a certificate that this server's authority issued to a client that is
 * enrolled and not revoked, or a token of an issuer that it trusts; the one exception is named here. What is not allowed here is refused.
 */

import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { Interceptor, StreamResponse, UnaryResponse } from "@connectrpc/connect";
import { clientIdOf, verifyLeaf } from "../credential/certificate.ts";
import type { ClientRecord, ClientStore } from "../credential/clients.ts";
import type { Tokens } from "../credential/jwt/tokens.ts";
import { CLIENT_AUTH } from "../credential/x509.ts";
import { AdminService } from "../gen/packetboat/v1/admin_pb.ts";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import { callerKey } from "./caller.ts";
import { peerKey } from "./peer.ts";
import { untilTaken } from "./until-taken.ts";

export interface GateOptions {
  readonly authority: X509Certificate;
  readonly clients: ClientStore;
  /** Absent: only certificates are accepted. */
  readonly tokens?: Pick<Tokens, "admit">;
  /** Calls `end` when what an access rests on is taken away; see LiveClients. */
  readonly track?: (grant: string, end: () => void) => () => void;
  /** A caller by token was let in. */
  readonly onToken?: (caller: Caller) => Promise<void>;
  readonly now?: () => Date;
}

export interface Gate {
  /** The client id that a connection has proven; undefined for none. Says nothing yet about enrolment or revocation. */
  provenId(socket: TLSSocket): string | undefined;
  /**
   * A token that comes along decides alone, whatever certificate the connection has: nobody gets more than what was presented for this call.
   *
   * @param authorization the header of that name
   * @throws PbError `unauthenticated`, `certificate_expired`, `revoked`, `token_invalid`, `token_expired`
   */
  admit(socket: TLSSocket, authorization?: string): Promise<Caller>;
  readonly interceptor: Interceptor;
}

/** `ID.seen` is touched at most this often for each client. */
const SEEN_INTERVAL_MS = 30_000;

export function createGate(options: GateOptions): Gate {
  const { authority, clients, tokens, track = () => () => {}, now = () => new Date() } = options;
  /** Signatures are checked once for each connection; times and revocation at each call. */
  const proven = new WeakMap<object, X509Certificate>();
  const records = new Map<string, ClientRecord>();
  const seenAt = new Map<string, number>();

  function prove(socket: TLSSocket): X509Certificate {
    const known = proven.get(socket);
    const certificate = known ?? socket.getPeerX509Certificate();
    if (!certificate)
      throw new PbError("unauthenticated", "this call needs a client certificate of this server", hint);
    if (!known || now().getTime() > Date.parse(certificate.validTo)) {
      verifyLeaf({ certificate, authority, usage: CLIENT_AUTH, now: now() });
      proven.set(socket, certificate);
    }
    return certificate;
  }

  async function recordOf(id: string): Promise<ClientRecord | undefined> {
    const known = records.get(id);
    if (known) return known;
    const record = await clients.get(id);
    if (record) records.set(id, record);
    return record;
  }

  function noteSeen(id: string): void {
    const time = now().getTime();
    if (time - (seenAt.get(id) ?? Number.NEGATIVE_INFINITY) < SEEN_INTERVAL_MS) return;
    seenAt.set(id, time);
    // For people only: a full disk must not refuse calls.
    clients.seen(id).catch(() => {});
  }

  async function admitToken(authorization: string): Promise<Caller> {
    const token = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization)?.[1];
    if (token === undefined || !tokens) {
      throw new PbError("unauthenticated", "this server takes no such authorization", hint);
    }
    const caller = await tokens.admit(token);
    await options.onToken?.(caller);
    return caller;
  }

  const gate: Gate = {
    provenId(socket) {
      try {
        return clientIdOf(prove(socket));
      } catch {
        return undefined;
      }
    },

    async admit(socket, authorization) {
      if (authorization !== undefined) return admitToken(authorization);
      const id = clientIdOf(prove(socket));
      if (id === undefined) throw new PbError("unauthenticated", "the certificate names no client", hint);
      const record = await recordOf(id);
      if (!record) throw new PbError("unauthenticated", `no client ${id} is enrolled here`, hint);
      // The last thing asked, so that nothing comes between a revocation and its effect.
      if (clients.isRevoked(id)) {
        throw new PbError("revoked", `the access of client ${id} (${record.name}) was revoked`, hint);
      }
      noteSeen(id);
      const { clientId, name, readOnly, path } = record;
      return { clientId, name, readOnly, path };
    },

    interceptor: (next) => async (request) => {
      const open = request.service === AdminService && request.method === AdminService.method.enrol;
      if (!open) {
        const peer = request.contextValues.get(peerKey);
        if (!peer) throw new PbError("unauthenticated", "the call came over no connection");
        const caller = await gate.admit(peer.socket, request.header.get("authorization") ?? undefined);
        request.contextValues.set(callerKey, caller);
        // A certificate's connection ends as a whole; of a token only what was begun with it.
        if (caller.grant !== undefined) return whileGranted(caller.grant, await next(request));
      }
      return next(request);
    },
  };

  function whileGranted<T extends UnaryResponse | StreamResponse>(grant: string, response: T): T {
    if (!response.stream) return response;
    return { ...response, message: untilTaken(response.message, (end) => track(grant, end)) };
  }
  return gate;
}

const hint = { hint: "ask the server's owner for an invite (pb invite), then: pb remote add NAME INVITE" };
