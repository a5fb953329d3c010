/** Signature Version 4 of a request of S3 (Amazon S3 API reference, "Signature calculations for the Authorization header: transferring a payload in a single chunk"). */
import { createHmac, hash } from "node:crypto";

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface Signable {
  readonly method: string;
  /** As it is sent in `Host`. */
  readonly host: string;
  /** As it is sent: encoded by `encodeKey`, without a query. */
  readonly path: string;
  /** As it is sent, encoded by `encodeQuery`; absent: none. */
  readonly query?: string;
  /** Names in lower case. All of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, hex; or `UNSIGNED`. */
  readonly payloadHash: string;
}

export interface Scope {
  readonly keys: Keys;
  readonly region: string;
  readonly service: string;
  readonly now: Date;
}

const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text, "utf8").digest();

export const sha256Hex = (bytes: string | Uint8Array): string => hash("sha256", bytes, "hex");

/** Of a request without a body. */
export const EMPTY_HASH = sha256Hex("");

/** Of a body that TLS protects: what else it is known by (x-amz-checksum-crc32) is signed as a header. */
export const UNSIGNED = "UNSIGNED-PAYLOAD";

/** Each byte but unreserved ones and "/" as `%XX`, once (RFC 3986 section 2.3). */
export function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll("%2F", "/")
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** In the order in which it is signed, and so sent. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  const encode = (text: string) => encodeKey(text).replaceAll("/", "%2F");
  const pairs = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`);
  return pairs.sort().join("&");
}

/** Signs requests; the key of a day is derived once. */
export function createSigner(): (request: Signable, scope: Scope) => Readonly<Record<string, string>> {
  let last = { secret: "", day: "", key: Buffer.alloc(0) };
  const dayKey = (secret: string, { region, service, day }: Credential) => {
    const place = `${day}/${region}/${service}`;
    if (last.secret !== secret || last.day !== place) {
      const key = [region, service, "aws4_request"].reduce(hmac, hmac(`AWS4${secret}`, day));
      last = { secret, day: place, key };
    }
    return last.key;
  };
  return ({ method, host, path, query = "", headers, payloadHash }, { keys, region, service, now }) => {
    const time = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
    const credential = { region, service, day: time.slice(0, 8) };
    const sent: Readonly<Record<string, string>> = {
      ...headers,
      "x-amz-content-sha256": payloadHash,
      "x-amz-date": time,
      ...(keys.sessionToken === undefined ? {} : { "x-amz-security-token": keys.sessionToken }),
    };
    const all = Object.entries({ ...sent, host }).sort(([a], [b]) => (a < b ? -1 : 1));
    const names = all.map(([name]) => name).join(";");
    const lines = all.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, " ")}\n`).join("");
    const canonical = `${method}\n${path}\n${query}\n${lines}\n${names}\n${payloadHash}`;
    const scope = `${credential.day}/${region}/${service}/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256Hex(canonical)}`;
    const signature = hmac(dayKey(keys.secretAccessKey, credential), text).toString("hex");
    const authorization = `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    return { ...sent, authorization };
  };
}

interface Credential {
  readonly region: string;
  readonly service: string;
  /** YYYYMMDD */
  readonly day: string;
}
