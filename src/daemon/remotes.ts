import { createPrivateKey } from "node:crypto";
import { hostname } from "node:os";
import { createClient } from "@connectrpc/connect";
import { connectPb } from "../backend/pb/connection.ts";
import { firstOf } from "../backend/pb/dial.ts";
import { fetchAuthority } from "../backend/pb/tls.ts";
import { parseAddress } from "../credential/address.ts";
import { clientIdOf, expiresAt, parseCertificate, verifyLeaf } from "../credential/certificate.ts";
import { decodeInvite, type Invite } from "../credential/invite.ts";
import { checkRemoteName, openRemotes, type Remote, type RemoteKeys, taken } from "../credential/remotes.ts";
import { CLIENT_AUTH, createRequest } from "../credential/x509.ts";
import { AdminService, type EnrolResponse } from "../gen/packetboat/v1/admin_pb.ts";
import type { RemoteActions, RemoteInfo } from "../model/actions.ts";
import { PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import { fromPeerError } from "../wire/connect.ts";

/** A server issues a certificate within milliseconds; the rest is the way there. */
const ENROL_TIMEOUT_MS = 30_000;

export function createRemoteActions({ home }: { readonly home: string }): RemoteActions {
  const store = openRemotes(home);

  return {
    async add(name, line, { replace, signal }) {
      checkRemoteName(name);
      const invite = decodeInvite(line);
      // Before the invite is spent.
      const names = (await store.list()).map((remote) => remote.name);
      if (names.includes(name) && !replace) throw taken(name);
      const { keys, remote } = await enrol(name, invite, signal);
      await store.put(remote, keys, { replace });
      return infoOf(remote, keys);
    },

    async list() {
      const remotes = await store.list();
      return Promise.all(remotes.map(async (remote) => infoOf(remote, await keysOf(remote))));
    },

    async remove(name) {
      const keys = await store.get(name).then(keysOf);
      return infoOf(await store.remove(name), keys);
    },
  };

  /** Undefined where they cannot be read: a broken remote can still be listed and removed. */
  function keysOf(remote: Remote): Promise<RemoteKeys | undefined> {
    return store.keys(remote).catch(() => undefined);
  }
}

async function enrol(
  name: string,
  invite: Invite,
  signal: AbortSignal,
): Promise<{ readonly remote: Remote; readonly keys: RemoteKeys }> {
  const { fingerprint, token } = invite;
  const addresses = invite.addresses.map((address) => parseAddress(address));
  const ca = await firstOf({
    items: addresses,
    signal,
    attempt: (address, attempt) => fetchAuthority(address, { peer: name, fingerprint, signal: attempt }),
  });
  const { csr, key } = await createRequest();
  await using connection = connectPb({ addresses, trust: { peer: name, fingerprint, ca } });
  const client = createClient(AdminService, connection.transport);
  let answer: EnrolResponse;
  try {
    const request = { token, csr, clientName: hostname() };
    answer = await client.enrol(request, { signal, timeoutMs: ENROL_TIMEOUT_MS });
  } catch (error) {
    throw fromPeerError(error, { peer: name, signal });
  }
  checkIssued(answer, { ca, key, peer: name });
  const { clientId, readOnly, certificate } = answer;
  const remote = {
    name,
    addresses: invite.addresses,
    fingerprint,
    clientId,
    readOnly,
    path: pathText(answer.path),
  };
  return { remote, keys: { key, certificate, ca } };
}

/** What the server gave is for our key and from the pinned authority, or it is not kept. */
function checkIssued(
  { certificate, clientId }: EnrolResponse,
  { ca, key, peer }: { readonly ca: string; readonly key: string; readonly peer: string },
): void {
  const issued = parseCertificate(certificate, peer);
  verifyLeaf({ certificate: issued, authority: parseCertificate(ca), usage: CLIENT_AUTH });
  if (issued.checkPrivateKey(createPrivateKey(key)) && clientIdOf(issued) === clientId) return;
  throw new PbError("protocol_violation", "the server issued a certificate for somebody else", { peer });
}

function infoOf(remote: Remote, keys: RemoteKeys | undefined): RemoteInfo {
  return {
    name: remote.name,
    type: "pb",
    address: remote.addresses[0] ?? "",
    fingerprint: remote.fingerprint,
    clientId: remote.clientId,
    readOnly: remote.readOnly,
    path: remote.path,
    expiresAt: keys ? expiresAt(parseCertificate(keys.certificate)).toISOString() : "",
  };
}
