/** Which tokens a server accepts, and whether those it has accepted still stand. */

import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import { MAX_TOKEN_CHARS } from "../../model/actions.ts";
import { errnoOf } from "../../model/errno.ts";
import { PbError } from "../../model/error.ts";
import type { Caller } from "../../model/identity.ts";
import { fileIssuer, type Issuer, type IssuerOptions, openIssuer } from "./issuer.ts";
import type { VerifyKey } from "./keys.ts";
import { accessOf, scopesIn } from "./scopes.ts";
import { publicKeyFile, revocationOf } from "./signing.ts";

export interface TokensOptions extends IssuerOptions {
  /** The server's folder: its own tokens' key, and revocations. */
  readonly state: string;
  /** `urn:packetboat:server:...`: issuer and audience of its own tokens. */
  readonly server: string;
  readonly issuers: readonly string[];
  /** Of the others' tokens; needed where there are others. */
  readonly audiences: readonly string[];
  /** Accepted ones that are remembered; default 4096. */
  readonly maxAccepted?: number;
  readonly now?: () => number;
}

export interface Tokens {
  /** @throws PbError `token_invalid`, `token_expired`, `revoked` */
  admit(token: string): Promise<Caller>;
  /** Of a caller's `grant`: may what was begun with it go on? */
  stands(grant: string): boolean;
  /** Reads the keys once, so that what is wrong is told at the start. */
  check(): Promise<void>;
}

interface Trusted {
  readonly issuer: Issuer;
  readonly audiences: readonly string[];
  readonly own: boolean;
}

interface Accepted {
  readonly caller: Caller;
  readonly keyId: string;
  readonly issuer: Issuer;
  readonly expiresAtMs: number;
  readonly revocation: string | undefined;
}

const GRANT = "token:";
/** Those that were not met for longest are verified again when they come. */
const MAX_ACCEPTED = 4096;
/** Clocks of issuer and server may differ so far for what is not valid yet; an end is an end. */
const EARLY_S = 30;

export function isTokenGrant(grant: string): boolean {
  return grant.startsWith(GRANT);
}

export function openTokens(options: TokensOptions): Tokens {
  const { state, server, issuers, audiences, maxAccepted = MAX_ACCEPTED, now = Date.now } = options;
  if (issuers.length > 0 && audiences.length === 0) {
    throw new PbError(
      "usage",
      "--jwt-issuer needs --jwt-audience: a token for another service is none for this one",
      {
        peer: "--jwt-audience",
      },
    );
  }
  const own = { issuer: fileIssuer(publicKeyFile(state), server), audiences: [server], own: true };
  const trusted: Trusted[] = [
    own,
    ...issuers.map((source) => ({ issuer: openIssuer(source, options), audiences, own: false })),
  ];
  const accepted = new Map<string, Accepted>();

  function remember(grant: string, entry: Accepted): void {
    accepted.delete(grant);
    accepted.set(grant, entry);
    const [oldest] = accepted.keys();
    if (accepted.size > maxAccepted && oldest !== undefined) accepted.delete(oldest);
  }

  function refuseEnded({ expiresAtMs, revocation, keyId, issuer }: Accepted): void {
    if (now() >= expiresAtMs) throw expired(expiresAtMs);
    if (revocation !== undefined && isThere(revocation))
      throw new PbError("revoked", "the token was revoked", hint);
    if (!issuer.has(keyId))
      throw new PbError("revoked", "the key that signed the token is not trusted any more", hint);
  }

  async function verify(token: string, grant: string): Promise<Accepted> {
    const { decodeProtectedHeader, decodeJwt } = await import("jose");
    let header: { alg?: string; kid?: string };
    let issuedBy: unknown;
    try {
      header = decodeProtectedHeader(token);
      issuedBy = decodeJwt(token).iss;
    } catch (cause) {
      throw invalid("it is no signed token", cause);
    }
    let failure: PbError | undefined;
    for (const each of trusted) {
      if (each.own !== (issuedBy === server)) continue;
      for (const key of await candidates(each.issuer, header)) {
        try {
          return { ...(await verified(token, { key, trusted: each })), keyId: key.id, issuer: each.issuer };
        } catch (error) {
          // Of two issuers the one that has signed it says what is wrong with it.
          if (failure === undefined || !isForeign(error)) failure = PbError.from(error, "token_invalid");
        }
      }
    }
    throw failure ?? invalid(`no key here verifies ${String(header.alg)} tokens of its issuer`);

    async function verified(
      text: string,
      { key, trusted: { issuer, audiences: wanted } }: { readonly key: VerifyKey; readonly trusted: Trusted },
    ): Promise<Omit<Accepted, "keyId" | "issuer">> {
      const claims = await claimsOf(text, { key, issuer, audiences: wanted, now: now() });
      const roots = accessOf(scopesIn(claims));
      if (roots.length === 0) throw invalid("its scopes give nothing here (pb:read:ROOT, pb:write:ROOT)");
      const caller: Caller = {
        clientId: clientIdOf(String(claims.iss ?? key.id), claims.sub),
        name: claims.sub,
        readOnly: roots.every(({ write }) => !write),
        path: "/",
        roots,
        grant,
      };
      const revocation = claims.jti === undefined ? undefined : revocationOf(state, claims.jti);
      return { caller, expiresAtMs: claims.exp * 1000, revocation };
    }
  }

  return {
    async admit(token) {
      if (token.length > MAX_TOKEN_CHARS) throw invalid("it is too long");
      const grant = GRANT + createHash("sha256").update(token).digest("base64url");
      const known = accepted.get(grant);
      // What is trusted now counts, not what was when the token was seen first.
      await known?.issuer.keys().catch(() => []);
      const entry = known?.issuer.has(known.keyId) ? known : await verify(token, grant);
      remember(grant, entry);
      refuseEnded(entry);
      return entry.caller;
    },

    stands(grant) {
      const entry = accepted.get(grant);
      if (!entry) return false;
      try {
        refuseEnded(entry);
        // What is open is asked about again and again: the tokens of others must not push it out.
        remember(grant, entry);
        return true;
      } catch {
        return false;
      }
    },

    async check() {
      for (const { issuer, own: isOwn } of trusted) if (!isOwn) await issuer.keys();
    },
  };
}

/** The key is another's. */
function isForeign(error: unknown): boolean {
  const cause =
    error instanceof PbError ? (error.cause as { readonly code?: unknown } | undefined) : undefined;
  return cause?.code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED";
}

interface Claims extends Readonly<Record<string, unknown>> {
  readonly sub: string;
  readonly exp: number;
  readonly jti?: string;
  readonly iss?: string;
}

async function claimsOf(
  token: string,
  options: {
    readonly key: VerifyKey;
    readonly issuer: Issuer;
    readonly audiences: readonly string[];
    readonly now: number;
  },
): Promise<Claims> {
  const { key, issuer, audiences, now } = options;
  const { jwtVerify, errors } = await import("jose");
  try {
    const { payload } = await jwtVerify(token, key.key, {
      algorithms: [...key.algorithms],
      audience: [...audiences],
      ...(issuer.name !== undefined && { issuer: [issuer.name, `${issuer.name}/`] }),
      requiredClaims: ["exp", "sub"],
      currentDate: new Date(now),
      clockTolerance: EARLY_S,
    });
    const { exp = 0, sub } = payload;
    // The tolerance is for beginnings.
    if (exp * 1000 <= now) throw expired(exp * 1000);
    if (typeof sub !== "string" || sub === "") throw invalid("it names nobody (sub)");
    return { ...payload, sub, exp };
  } catch (cause) {
    if (cause instanceof PbError) throw cause;
    if (cause instanceof errors.JWTExpired) throw expired(Number(cause.payload.exp ?? 0) * 1000);
    if (cause instanceof errors.JWTClaimValidationFailed)
      throw invalid(`its ${cause.claim} is not right`, cause);
    if (cause instanceof errors.JWSSignatureVerificationFailed)
      throw invalid("its signature is not right", cause);
    throw invalid("it cannot be verified", cause);
  }
}

/** Keys that may have signed it: of its name, where it and they have one, and never for an algorithm that is not theirs. */
async function candidates(
  issuer: Issuer,
  { alg, kid }: { alg?: string; kid?: string },
): Promise<VerifyKey[]> {
  const fits = (key: VerifyKey) =>
    (kid === undefined || key.kid === undefined || key.kid === kid) && key.algorithms.includes(alg ?? "");
  const known = (await issuer.keys().catch(() => [])).filter(fits);
  return known.length > 0 ? known : (await issuer.keys(true).catch(() => [])).filter(fits);
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** In the form of a client's id; the same for every token that this issuer gives to this subject. */
function clientIdOf(issuer: string, subject: string): string {
  const hash = createHash("sha256").update(`jwt\0${issuer}\0${subject}`).digest();
  return Array.from(hash.subarray(0, 16), (byte) => ALPHABET[byte & 31]).join("");
}

/** What cannot be looked at counts as there. */
function isThere(file: string): boolean {
  try {
    lstatSync(file);
    return true;
  } catch (cause) {
    return errnoOf(cause) !== "ENOENT";
  }
}

const hint = { hint: "get a new token from its issuer: pb credentials rotate NAME --stdin token" };

function invalid(why: string, cause?: unknown): PbError {
  return new PbError("token_invalid", `the token is refused: ${why}`, { ...hint, cause });
}

function expired(atMs: number): PbError {
  return new PbError("token_expired", `the token ended at ${new Date(atMs).toISOString()}`, hint);
}
