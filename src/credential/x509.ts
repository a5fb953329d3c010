/**
 * Keys and certificates: ECDSA P-256, which Node's WebCrypto has without warnings and every TLS 1.3 stack takes.
 * The X.509 library is loaded when first used; commands that need none start faster.
 */

import { randomBytes, webcrypto } from "node:crypto";
import { PbError } from "../model/error.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
/** Certificates start a little in the past, for peers whose clock is behind. */
const BACKDATE_MS = 3_600_000;
/** The CA outlives any installation; losing it means that every client enrols again. */
const CA_DAYS = 36_500;

/** RFC 5280 section 4.2.1.12. */
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** PEM texts of a certificate and its private key (PKCS#8). */
export interface Credential {
  readonly certificate: string;
  readonly key: string;
}

export interface IssueOptions {
  readonly ca: Credential;
  /** PEM of a PKCS#10 request; its own names and extensions are not taken over. */
  readonly csr: string;
  /** Shown to people; who the holder is says `uri`. */
  readonly commonName: string;
  /** The subject alternative name that is the identity. */
  readonly uri: string;
  readonly usage: typeof SERVER_AUTH | typeof CLIENT_AUTH;
  readonly days: number;
  readonly now?: Date;
}

async function library() {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto);
  return x509;
}

async function newKeys(): Promise<{ keys: webcrypto.CryptoKeyPair; pem: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const der = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  const body = Buffer.from(der)
    .toString("base64")
    .replace(/(.{64})(?=.)/g, "$1\n");
  return { keys, pem: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n` };
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replace(/-----[A-Z ]+-----/g, ""), "base64");
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

/** Positive and 16 bytes at most, RFC 5280 section 4.1.2.2. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

/** A certificate authority of its own for one server. */
export async function createAuthority(now = new Date()): Promise<Credential> {
  const x509 = await library();
  const { keys, pem } = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: ["Packetboat CA"] }],
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + CA_DAYS * DAY_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: pem };
}

/** A new key and the request to certify it. */
export async function createRequest(): Promise<{ readonly csr: string; readonly key: string }> {
  const x509 = await library();
  const { keys, pem } = await newKeys();
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: ["packetboat"] }],
    keys,
    signingAlgorithm: ALGORITHM,
  });
  return { csr: `${csr.toString("pem")}\n`, key: pem };
}

/** @throws PbError `invalid_argument` for a request that is damaged, unsigned by its key, or of another kind of key */
export async function issue(options: IssueOptions): Promise<string> {
  const x509 = await library();
  const publicKey = await requestedKey(options.csr);
  const authority = new x509.X509Certificate(options.ca.certificate);
  const now = (options.now ?? new Date()).getTime();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [options.commonName] }],
    issuer: authority.subjectName,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + options.days * DAY_MS),
    publicKey,
    signingKey: await importKey(options.ca.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([options.usage], true),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: options.uri }]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

/** A CSR of this kind is about 500 bytes. */
const MAX_CSR_BYTES = 8192;

/** @throws PbError `invalid_argument`, as `issue` does */
export async function checkRequest(csr: string): Promise<void> {
  await requestedKey(csr);
}

async function requestedKey(csr: string) {
  const x509 = await library();
  if (csr.length > MAX_CSR_BYTES) throw badRequest("it is too long");
  try {
    const request = new x509.Pkcs10CertificateRequest(csr);
    const { name, namedCurve } = request.publicKey.algorithm as { name?: string; namedCurve?: string };
    if (name !== ALGORITHM.name || namedCurve !== ALGORITHM.namedCurve)
      throw badRequest("its key is not P-256");
    if (!(await request.verify())) throw badRequest("its signature is not by its own key");
    return request.publicKey;
  } catch (cause) {
    throw cause instanceof PbError ? cause : badRequest("it cannot be read", cause);
  }
}

function badRequest(why: string, cause?: unknown): PbError {
  return new PbError("invalid_argument", `the certificate request is refused: ${why}`, { cause });
}
