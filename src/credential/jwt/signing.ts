/** Tokens that a server's owner issues: `STATE/tokens/key` signs them (Ed25519), `STATE/tokens/key.pub` verifies them. */

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import { PbError } from "../../model/error.ts";
import { createFile, ensurePrivateFolder, readSecret, replaceFile } from "../files.ts";
import { checkScopes } from "./scopes.ts";

/** Names of tokens, in files: what is made here and what others make may both be there. */
const TOKEN_ID = /^[A-Za-z0-9_-]{8,64}$/;

export interface IssueToken {
  /** Of the server: issuer and audience both. */
  readonly server: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly expiresSeconds: number;
}

export const tokensFolder = (state: string) => join(state, "tokens");
export const publicKeyFile = (state: string) => join(tokensFolder(state), "key.pub");
const privateKeyFile = (state: string) => join(tokensFolder(state), "key");
const revokedFile = (state: string, id: string) => join(tokensFolder(state), `${id}.revoked`);

/** A token has an end that is near; a longer need is a client's that enrols. */
const MAX_SECONDS = 30 * 86_400;

/** @throws PbError `usage` */
export async function issueToken(
  state: string,
  { server, subject, scopes, expiresSeconds }: IssueToken,
): Promise<{ readonly token: string; readonly id: string; readonly expiresAt: Date }> {
  checkScopes(scopes);
  if (subject === "") throw new PbError("usage", "a token is somebody's: --subject NAME");
  if (!(expiresSeconds >= 1 && expiresSeconds <= MAX_SECONDS)) {
    throw new PbError("usage", "--expires: 1s to 30d", { peer: "--expires" });
  }
  const { SignJWT, importPKCS8 } = await import("jose");
  const key = await importPKCS8(await signingKey(state), "EdDSA");
  const id = randomBytes(12).toString("base64url");
  const expiresAt = new Date(Math.floor(Date.now() / 1000 + expiresSeconds) * 1000);
  const token = await new SignJWT({ scope: scopes.join(" ") })
    .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt" })
    .setIssuer(server)
    .setAudience(server)
    .setSubject(subject)
    .setJti(id)
    .setIssuedAt()
    .setExpirationTime(expiresAt)
    .sign(key);
  return { token, id, expiresAt };
}

async function signingKey(state: string): Promise<string> {
  try {
    return await readSecret(privateKeyFile(state));
  } catch (error) {
    if (!(error instanceof PbError) || error.code !== "not_found") throw error;
  }
  await rotateSigningKey(state);
  return readSecret(privateKeyFile(state));
}

/** A new key; what the old one has signed is worth nothing from now on. */
export async function rotateSigningKey(state: string): Promise<void> {
  await ensurePrivateFolder(tokensFolder(state));
  const { privateKey, publicKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  await replaceFile(publicKeyFile(state), publicKey);
  await replaceFile(privateKeyFile(state), privateKey);
}

/** @throws PbError `usage` for what is no token's id */
export async function revokeToken(state: string, id: string): Promise<void> {
  if (!TOKEN_ID.test(id)) throw new PbError("usage", `"${id}" is not a token's id`, { peer: id });
  await ensurePrivateFolder(tokensFolder(state));
  await createFile(revokedFile(state, id), `${new Date().toISOString()}\n`);
}

/** Where the revocation of a token would be; undefined for an id that could not be revoked by name. */
export function revocationOf(state: string, id: string): string | undefined {
  return TOKEN_ID.test(id) ? revokedFile(state, id) : undefined;
}
