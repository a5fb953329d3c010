/**
 * The keys that tokens are verified with. What algorithms a key may be used with is settled here, when it is loaded, by what the
 * key is: a token's own header decides nothing (RFC 8725, sections 3.1 and 3.2). There is no `none`, and no HMAC: a key that
 * could sign as well as verify is refused.
 */

import {
  createHash,
  createPublicKey,
  type JsonWebKeyInput,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { PbError } from "../../model/error.ts";

export interface VerifyKey {
  /** SHA-256 of its public part (SPKI, DER), hex. */
  readonly id: string;
  /** As its owner names it in the header of tokens. */
  readonly kid?: string;
  readonly key: KeyObject;
  /** Names of RFC 7518 and RFC 9864. */
  readonly algorithms: readonly string[];
}

/** NIST SP 800-57 part 1, table 2: less is no longer to be used. */
const MIN_RSA_BITS = 2048;
const BY_CURVE: Readonly<Record<string, string>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const EDWARDS = ["EdDSA", "Ed25519"];

/** A JWKS or one JWK (JSON), or PEM blocks of public keys or certificates. @throws PbError `invalid_argument` naming `source` */
export function parseKeys(text: string, source: string): VerifyKey[] {
  const keys = /^\s*\{/.test(text) ? fromJson(text, source) : fromPem(text, source);
  if (keys.length > 0) return keys;
  throw bad(source, "it holds no public key for signatures");
}

/** A JWKS with no key at all: its owner has withdrawn every one, which is an answer and not a fault. */
export function isEmptySet(text: string): boolean {
  try {
    const { keys } = Object(JSON.parse(text));
    return Array.isArray(keys) && keys.length === 0;
  } catch {
    return false;
  }
}

function fromPem(text: string, source: string): VerifyKey[] {
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g) ?? [];
  return blocks.map((pem) => {
    if (pem.includes("PRIVATE KEY")) throw bad(source, "it holds a private key; give the public one");
    try {
      const certified = pem.includes("BEGIN CERTIFICATE");
      return keyOf(certified ? new X509Certificate(pem).publicKey : createPublicKey(pem), { source });
    } catch (cause) {
      throw cause instanceof PbError ? cause : bad(source, "a key there cannot be read", cause);
    }
  });
}

interface Jwk {
  readonly kty?: unknown;
  readonly use?: unknown;
  readonly alg?: unknown;
  readonly kid?: unknown;
  readonly d?: unknown;
}

function fromJson(text: string, source: string): VerifyKey[] {
  let value: { readonly keys?: unknown };
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(source, "it is neither JSON nor PEM", cause);
  }
  const isSet = Array.isArray(value?.keys);
  const all = (isSet ? value.keys : [value]) as Jwk[];
  // For encryption, or of a kind that is not known here: none of ours.
  const ours = all.filter(
    (jwk) => jwk?.use !== "enc" && ["RSA", "EC", "OKP", "oct"].includes(String(jwk?.kty)),
  );
  const unfit: PbError[] = [];
  const keys = ours.flatMap((jwk) => {
    if (jwk.kty === "oct")
      throw bad(source, "it holds a symmetric key (kty oct): who verifies could sign, too");
    if (jwk.d !== undefined) throw bad(source, "it holds a private key; give the public one");
    try {
      return [fromJwk(jwk, source)];
    } catch (cause) {
      unfit.push(PbError.from(cause));
      return [];
    }
  });
  // Of a set those count that can be used here (RFC 7517, section 5): an issuer may have others for others.
  if (unfit[0] && (keys.length === 0 || !isSet)) throw unfit[0];
  return keys;
}

function fromJwk(jwk: Jwk, source: string): VerifyKey {
  const { alg, kid } = jwk;
  try {
    const key = createPublicKey({ key: jwk as JsonWebKeyInput["key"], format: "jwk" });
    return keyOf(key, { source, alg, ...(typeof kid === "string" && { kid }) });
  } catch (cause) {
    throw cause instanceof PbError ? cause : bad(source, "a key there cannot be read", cause);
  }
}

function keyOf(
  key: KeyObject,
  { source, alg, kid }: { readonly source: string; readonly alg?: unknown; readonly kid?: string },
): VerifyKey {
  const can = algorithmsOf(key, source);
  const algorithms = alg === undefined ? can : can.filter((each) => each === alg);
  if (algorithms.length === 0) throw bad(source, `a key there is not for ${String(alg)}, as it says`);
  const id = createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex");
  return { id, key, algorithms, ...(kid !== undefined && { kid }) };
}

function algorithmsOf(key: KeyObject, source: string): readonly string[] {
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ed25519") return EDWARDS;
  if (key.asymmetricKeyType === "rsa") {
    if (modulusLength >= MIN_RSA_BITS) return RSA;
    throw bad(source, `an RSA key there has ${modulusLength} bits; ${MIN_RSA_BITS} is the least`);
  }
  const curve = key.asymmetricKeyType === "ec" ? BY_CURVE[namedCurve] : undefined;
  if (curve !== undefined) return [curve];
  throw bad(
    source,
    `a key there is of kind ${key.asymmetricKeyType ?? "unknown"}; RSA, EC or Ed25519 it must be`,
  );
}

function bad(source: string, why: string, cause?: unknown): PbError {
  return new PbError("invalid_argument", `--jwt-issuer ${source}: ${why}`, { path: source, cause });
}
