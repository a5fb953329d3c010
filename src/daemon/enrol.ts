import { createPrivateKey } from "node:crypto";
import { hostname } from "node:os";
import { createClient } from "@connectrpc/connect";
import { connectPb } from "../backend/pb/connection.ts";
import { firstOf } from "../backend/pb/dial.ts";
import { fetchAuthority } from "../backend/pb/tls.ts";
import { parseAddress } from "../credential/address.ts";
import { clientIdOf, parseCertificate, verifyLeaf } from "../credential/certificate.ts";
import type { Invite } from "../credential/invite.ts";
import type { Remote, RemoteKeys } from "../credential/remotes.ts";
import { CLIENT_AUTH, createRequest } from "../credential/x509.ts";
import { AdminService, type EnrolResponse } from "../gen/packetboat/v1/admin_pb.ts";
import { PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import { fromPeerError } from "../wire/connect.ts";

/** A server issues a certificate within milliseconds; the rest is the way there. */
const ENROL_TIMEOUT_MS = 30_000;

/** Spends the invite: pins its server and has a key of this client's own certified. */
export async function enrol(
  name: string,
  invite: Invite,
  signal: AbortSignal,
): Promise<{ readonly remote: Remote; readonly keys: RemoteKeys }> {
  const { fingerprint, token } = invite;
  const addresses = invite.addresses.map((address) => parseAddress(address));
  const ca = await pin({ name, fingerprint, addresses: invite.addresses, signal });
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

export interface PinOptions {
  readonly name: string;
  /** SHA-256 of the authority, lower-case hex. */
  readonly fingerprint: string;
  readonly addresses: readonly string[];
  readonly signal: AbortSignal;
}

/** The certificate (PEM) of the authority with this fingerprint, from the first address where it is. */
export function pin({ name, fingerprint, addresses, signal }: PinOptions): Promise<string> {
  return firstOf({
    items: addresses.map((address) => parseAddress(address)),
    signal,
    attempt: (address, attempt) => fetchAuthority(address, { peer: name, fingerprint, signal: attempt }),
  });
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
