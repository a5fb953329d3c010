import type { ServiceImpl } from "@connectrpc/connect";
import { PROTOCOL_VERSION } from "../backend/pb/session.ts";
import { clientUri } from "../credential/certificate.ts";
import type { ClientStore } from "../credential/clients.ts";
import type { InviteStore } from "../credential/invites.ts";
import { CLIENT_AUTH, type Credential, checkRequest, issue } from "../credential/x509.ts";
import type { AdminService } from "../gen/packetboat/v1/admin_pb.ts";
import { PbError } from "../model/error.ts";
import { pathBytes } from "../model/path.ts";
import { callerOf } from "./caller.ts";
import { hostId } from "./host-id.ts";
import { peerOf } from "./peer.ts";
import { callerNetwork, rateLimit } from "./rate-limit.ts";

export interface AdminServiceOptions {
  readonly ca: Credential;
  readonly clients: ClientStore;
  readonly invites: InviteStore;
  readonly version: string;
  /** Names of the named roots. */
  readonly roots: readonly string[];
  readonly features: readonly string[];
  readonly onEnrolled: (client: EnrolledClient) => void;
}

export interface EnrolledClient {
  readonly id: string;
  readonly name: string;
  /** Where it called from. */
  readonly address: string;
  /** The invite's, of which a use is spent now. */
  readonly token: string;
}

/** One year; the client renews by itself in the last month. */
const CLIENT_DAYS = 365;
/** A token has 256 random bits, so this is about the cost of a try, not about guessing. */
const ENROL_LIMIT = { burst: 10, perSecond: 0.2, maxKeys: 4096 };
/** All addresses together: a certificate costs about a millisecond. */
const ENROL_LIMIT_ALL = { burst: 100, perSecond: 20, maxKeys: 1 };
const MAX_NAME = 128;

export function createAdminService(options: AdminServiceOptions): ServiceImpl<typeof AdminService> {
  const { ca, clients, invites } = options;
  const limitOne = rateLimit(ENROL_LIMIT);
  const limitAll = rateLimit(ENROL_LIMIT_ALL);

  async function certify(clientId: string, csr: string): Promise<string> {
    const certificate = await issue({
      ca,
      csr,
      commonName: `Packetboat client ${clientId}`,
      uri: clientUri(clientId),
      usage: CLIENT_AUTH,
      days: CLIENT_DAYS,
    });
    await clients.setCertificate(clientId, certificate);
    return certificate;
  }

  return {
    async enrol({ token, csr, clientName }, context) {
      const { address } = peerOf(context);
      limitOne(callerNetwork(address));
      limitAll("");
      await invites.check(token);
      // Before the use is spent: a broken request must not cost the invite.
      await checkRequest(csr);
      const { readOnly, path } = await invites.use(token);
      const { clientId, name } = await clients.create({
        name: clientName.slice(0, MAX_NAME),
        readOnly,
        path,
      });
      const certificate = await certify(clientId, csr);
      options.onEnrolled({ id: clientId, name, address, token });
      return { certificate, ca: ca.certificate, clientId, readOnly, path: pathBytes(path) };
    },

    async renew({ csr }, context) {
      const { clientId, grant } = callerOf(context);
      // What ends soon must not become what lasts a year.
      if (grant !== undefined) throw new PbError("unauthenticated", "a token gets no certificate");
      return { certificate: await certify(clientId, csr), ca: ca.certificate };
    },

    info(_request, context) {
      const { clientId, readOnly, path, roots } = callerOf(context);
      const seen = (name: string) => !roots || roots.some(({ root }) => root === "*" || root === name);
      return {
        version: options.version,
        timeNs: BigInt(Date.now()) * 1_000_000n,
        // What lies beside the caller's folder is none of its business.
        roots: path === "/" ? options.roots.filter(seen) : [],
        clientId,
        readOnly,
        path: pathBytes(path),
        protocolVersion: PROTOCOL_VERSION,
        features: [...options.features],
        hostId: hostId(),
      };
    },
  };
}
