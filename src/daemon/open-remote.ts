import { createClient } from "@connectrpc/connect";
import type { Backend, SessionPeer } from "../backend/backend.ts";
import { createPbBackend } from "../backend/pb/backend.ts";
import type { PbConnection } from "../backend/pb/connection.ts";
import { parseAddress } from "../credential/address.ts";
import { expiresAt, parseCertificate } from "../credential/certificate.ts";
import type { Remote, RemoteKeys, RemoteStore } from "../credential/remotes.ts";
import { createRequest } from "../credential/x509.ts";
import { AdminService } from "../gen/packetboat/v1/admin_pb.ts";
import type { Secret } from "../model/endpoint.ts";
import { PbError } from "../model/error.ts";

/** The client renews within the last 30 days of its certificate's year. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

/** The secret `token` of a remote, as it is now. */
export type TokenOf = (remote: string) => Promise<Secret | undefined>;

/**
 * A connection to a configured remote, with its certificate renewed when that is due.
 *
 * @param tokenOf asked at every call, for remotes where a token stands for the client. @throws PbError `unknown_remote`
 */
export async function connectRemote(
  store: RemoteStore,
  name: string,
  { tokenOf, pingMs }: { readonly tokenOf?: TokenOf | undefined; readonly pingMs?: number | undefined } = {},
): Promise<PbConnection> {
  const remote = await store.get(name);
  const keys = await store.keys(remote);
  if (remote.byToken) return connectByToken(remote, { ca: keys.ca, tokenOf, pingMs });
  const connection = await connectWith(remote, keys, pingMs);
  const left = expiresAt(parseCertificate(keys.certificate)).getTime() - Date.now();
  if (left > RENEW_BEFORE_MS || left <= 0) return connection;
  const renewed = await renewedIn(store, remote, { connection, keys }).catch(() => undefined);
  // The present certificate is still good, also where no other can be kept: the next connection tries again.
  if (!renewed) return connection;
  await connection.close();
  return connectWith(remote, renewed, pingMs);
}

/** TLS and HTTP/2 are loaded where something is connected, not with every command. */
const connections = () => import("../backend/pb/connection.ts");

async function connectWith(
  remote: Remote,
  keys: RemoteKeys,
  pingMs: number | undefined,
): Promise<PbConnection> {
  const { connectPb } = await connections();
  return connectPb({
    pingMs,
    addresses: remote.addresses.map((address) => parseAddress(address)),
    trust: { peer: remote.name, fingerprint: remote.fingerprint, ca: keys.ca },
    client: keys,
  });
}

async function connectByToken(
  { name, addresses, fingerprint }: Remote,
  {
    ca,
    tokenOf,
    pingMs,
  }: {
    readonly ca: string;
    readonly tokenOf: TokenOf | undefined;
    readonly pingMs: number | undefined;
  },
): Promise<PbConnection> {
  const { connectPb } = await connections();
  return connectPb({
    pingMs,
    addresses: addresses.map((address) => parseAddress(address)),
    trust: { peer: name, fingerprint, ca },
    async authorization() {
      const token = await tokenOf?.(name);
      if (token) return `Bearer ${token.reveal()}`;
      throw new PbError("unauthenticated", `there is no token for ${name}`, {
        peer: name,
        hint: `pb credentials add ${name} --stdin token`,
      });
    },
  });
}

/** The new keys, once they are kept. */
async function renewedIn(
  store: RemoteStore,
  remote: Remote,
  { connection, keys }: { readonly connection: PbConnection; readonly keys: RemoteKeys },
): Promise<RemoteKeys> {
  const { csr, key } = await createRequest();
  const { certificate } = await createClient(AdminService, connection.transport).renew({ csr });
  const renewed = { key, certificate, ca: keys.ca };
  await store.replaceKeys(remote, renewed);
  return renewed;
}

export interface RemoteBackendOptions {
  readonly store: RemoteStore;
  readonly tokenOf: TokenOf;
  /** How data sessions to a connected server are opened. */
  readonly peer: (connection: PbConnection) => SessionPeer;
  /** See `connectPb`. */
  readonly pingMs?: number | undefined;
}

/** The `pb` factory of the registry. */
export function remoteBackends({
  store,
  tokenOf,
  peer,
  pingMs,
}: RemoteBackendOptions): (name: string) => Promise<Backend> {
  return async (name) => {
    const remote = await store.get(name);
    const connection = await connectRemote(store, name, { tokenOf, pingMs });
    // Whoever opens a place asks something of it soon; two round trips of that are the handshake's.
    connection.endpoint().catch(() => undefined);
    return createPbBackend({ connection, peer: peer(connection), writable: !remote.readOnly });
  };
}
