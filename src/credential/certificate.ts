import { X509Certificate } from "node:crypto";
import { PbError } from "../model/error.ts";

/** What the names in certificates look like; the identity is the URI, never the common name. */
const CLIENT_URI = "urn:packetboat:client:";
const SERVER_URI = "urn:packetboat:server:";

export function clientUri(clientId: string): string {
  return CLIENT_URI + clientId;
}

/** @param fingerprint of the server's CA: a server is whoever that CA certified as its server */
export function serverUri(fingerprint: string): string {
  return SERVER_URI + fingerprint;
}

/** @throws PbError `invalid_argument` */
export function parseCertificate(pem: string | Uint8Array, peer = ""): X509Certificate {
  try {
    return new X509Certificate(typeof pem === "string" ? pem : Buffer.from(pem));
  } catch (cause) {
    throw new PbError("invalid_argument", "a certificate cannot be read", { peer, cause });
  }
}

/** SHA-256 of the DER, lower-case hex. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

export function expiresAt(certificate: X509Certificate): Date {
  return new Date(certificate.validTo);
}

export interface VerifyOptions {
  readonly certificate: X509Certificate;
  readonly authority: X509Certificate;
  /** Object identifier of the extended key usage that it must carry. */
  readonly usage: string;
  readonly now?: Date;
}

/**
 * Holds a leaf to its one authority: signed by it, within its time, made for this use.
 *
 * @throws PbError `unauthenticated`, `certificate_expired`
 */
export function verifyLeaf({ certificate, authority, usage, now = new Date() }: VerifyOptions): void {
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    throw new PbError("unauthenticated", "the certificate was issued by another authority");
  }
  if (certificate.ca || !certificate.keyUsage?.includes(usage)) {
    throw new PbError("unauthenticated", "the certificate is not made for this use");
  }
  const time = now.getTime();
  if (time > Date.parse(certificate.validTo)) {
    throw new PbError("certificate_expired", `the certificate ended on ${certificate.validTo}`, {
      hint: "check the clock (pb doctor); else enrol again with a new invite: pb remote add --replace",
    });
  }
  if (time < Date.parse(certificate.validFrom)) {
    throw new PbError("certificate_expired", `the certificate is valid only from ${certificate.validFrom}`, {
      hint: "check the clocks of both machines (pb doctor)",
    });
  }
}

/** The one URI of the subject alternative name; undefined unless it is exactly one. */
function uriOf(certificate: X509Certificate): string | undefined {
  return /^URI:([A-Za-z0-9:._-]+)$/.exec(certificate.subjectAltName ?? "")?.[1];
}

export function clientIdOf(certificate: X509Certificate): string | undefined {
  const uri = uriOf(certificate);
  return uri?.startsWith(CLIENT_URI) ? uri.slice(CLIENT_URI.length) : undefined;
}

export function isServerOf(certificate: X509Certificate, fingerprint: string): boolean {
  return uriOf(certificate) === serverUri(fingerprint);
}
