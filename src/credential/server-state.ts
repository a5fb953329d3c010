/**
 * A server's own folder, for its owner alone:
 *
 *   ca.key      its authority, key and certificate, made once; its fingerprint is what clients pin
 *   server.key  its own key and certificate, made anew from the authority before it ends
 *   *.crt       the certificates alone, for people
 *   invites/ clients/  see invites.ts and clients.ts
 *   invite      the line of the first invite, until it is used
 */

import { createPrivateKey, type X509Certificate } from "node:crypto";
import { join } from "node:path";
import { PbError } from "../model/error.ts";
import {
  expiresAt,
  fingerprintOf,
  isServerOf,
  parseCertificate,
  serverUri,
  verifyLeaf,
} from "./certificate.ts";
import { createFile, ensurePrivateFolder, readSecret, replaceFile } from "./files.ts";
import { type Credential, createAuthority, createRequest, issue, SERVER_AUTH } from "./x509.ts";

/** Short, because renewal needs nobody: the pin is on the authority. */
const SERVER_DAYS = 365;
const RENEW_BEFORE_MS = 60 * 86_400_000;

export interface ServerIdentity {
  readonly ca: Credential;
  readonly authority: X509Certificate;
  /** SHA-256 of the authority, lower-case hex. */
  readonly fingerprint: string;
  readonly server: Credential;
}

export interface OpenedState extends ServerIdentity {
  /** The authority was made by this call. */
  readonly isNew: boolean;
}

/** Makes what is missing. @throws PbError `permission_denied` when the folder or a key is open to others */
export async function openServerState(state: string, now = new Date()): Promise<OpenedState> {
  await ensurePrivateFolder(state);
  const isNew = await makeAuthority(state, now);
  const ca = await readCredential(state, "ca");
  if (!ca) throw missingState(state);
  const authority = parseCertificate(ca.certificate);
  const fingerprint = fingerprintOf(authority);
  const base = { ca, authority, fingerprint };
  return { ...base, isNew, server: await currentServer(state, base, now) };
}

/** The authority of a state folder that a server has made. @throws PbError `not_found` */
export async function readAuthority(state: string): Promise<{ readonly fingerprint: string }> {
  const ca = await readCredential(state, "ca");
  if (!ca) throw missingState(state);
  return { fingerprint: fingerprintOf(parseCertificate(ca.certificate)) };
}

/** The server's certificate, renewed when it is close to its end, damaged, or by another authority. */
export async function currentServer(
  state: string,
  identity: Omit<ServerIdentity, "server">,
  now = new Date(),
): Promise<Credential> {
  const present = await readCredential(state, "server").catch((error: unknown) => {
    // A damaged one is replaced; one that others may read is for its owner to look at.
    if (error instanceof PbError && error.code === "invalid_argument") return undefined;
    throw error;
  });
  if (present && isGood(present, identity, now)) return present;
  const { csr, key } = await createRequest();
  const certificate = await issue({
    ca: identity.ca,
    csr,
    commonName: "Packetboat server",
    uri: serverUri(identity.fingerprint),
    usage: SERVER_AUTH,
    days: SERVER_DAYS,
    now,
  });
  await replaceFile(join(state, "server.key"), key + certificate);
  await replaceFile(join(state, "server.crt"), certificate);
  return { certificate, key };
}

function isGood(present: Credential, identity: Omit<ServerIdentity, "server">, now: Date): boolean {
  try {
    const certificate = parseCertificate(present.certificate);
    verifyLeaf({ certificate, authority: identity.authority, usage: SERVER_AUTH, now });
    const left = expiresAt(certificate).getTime() - now.getTime();
    return (
      left > RENEW_BEFORE_MS &&
      isServerOf(certificate, identity.fingerprint) &&
      certificate.checkPrivateKey(createPrivateKey(present.key))
    );
  } catch {
    return false;
  }
}

/** Of two first starts at once one makes the authority, and both use it. */
async function makeAuthority(state: string, now: Date): Promise<boolean> {
  if (await readCredential(state, "ca")) return false;
  const ca = await createAuthority(now);
  const made = await createFile(join(state, "ca.key"), ca.key + ca.certificate);
  if (made) await replaceFile(join(state, "ca.crt"), ca.certificate);
  return made;
}

/** Undefined when there is none yet. */
async function readCredential(state: string, name: "ca" | "server"): Promise<Credential | undefined> {
  const file = join(state, `${name}.key`);
  let text: string;
  try {
    text = await readSecret(file);
  } catch (error) {
    if (error instanceof PbError && error.code === "not_found") return undefined;
    throw error;
  }
  const [key, certificate] = text.match(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----\n/g) ?? [];
  if (key?.includes("PRIVATE KEY") && certificate?.includes("CERTIFICATE")) return { key, certificate };
  throw new PbError("invalid_argument", `${file} does not hold a key and its certificate`, {
    path: file,
    hint: "restore it from a copy; without it every client must enrol again",
  });
}

function missingState(state: string): PbError {
  return new PbError("not_found", `${state} is not the state folder of a server`, {
    path: state,
    hint: "name the folder with --state, or start pb serve once",
  });
}
