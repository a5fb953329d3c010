/** known_hosts of OpenSSH (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): names hashed or not, patterns, ports, revoked keys. */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export interface KnownKey {
  /** "ssh-ed25519". */
  readonly type: string;
  readonly key: Buffer;
  readonly revoked: boolean;
  /** "~/.ssh/known_hosts:12", for people. */
  readonly where: string;
}

/** The keys that the lines of a file name for a host. Lines that cannot be read, and authorities of hosts, are passed over. */
export function knownKeys(
  content: string,
  { host, port, file }: { readonly host: string; readonly port: number; readonly file: string },
): KnownKey[] {
  const name = hostName(host, port);
  return content.split(/\r?\n/).flatMap((line, index) => {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith("@") ? words.shift() : undefined;
    const [names = "", type = "", encoded = ""] = words;
    if (names === "" || names.startsWith("#") || encoded === "" || marker === "@cert-authority") return [];
    if (!covers(names, name)) return [];
    const key = Buffer.from(encoded, "base64");
    return [{ type, key, revoked: marker === "@revoked", where: `${file}:${index + 1}` }];
  });
}

/** As known_hosts has it: "host", or "[host]:2222". */
export function hostName(host: string, port: number): string {
  const lower = host.toLowerCase();
  return port === 22 ? lower : `[${lower}]:${port}`;
}

/** A line for a key that was accepted; names as they are, since this file is the user's own. */
export function knownLine(host: string, port: number, key: Buffer): string {
  return `${hostName(host, port)} ${keyType(key)} ${key.toString("base64")}\n`;
}

/** The first string of a public key's blob (RFC 4253 section 6.6); "" of what is none. */
export function keyType(key: Buffer): string {
  const length = key.length >= 4 ? key.readUInt32BE(0) : 0;
  return length > 0 && length <= 64 && length + 4 <= key.length
    ? key.subarray(4, 4 + length).toString("latin1")
    : "";
}

/** As `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

function covers(names: string, name: string): boolean {
  if (names.startsWith("|1|")) return isHashOf(names, name);
  let found = false;
  for (const pattern of names.split(",")) {
    const negated = pattern.startsWith("!");
    if (!glob(negated ? pattern.slice(1) : pattern).test(name)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** "|1|salt|hash": HMAC-SHA1 of the name by the salt. */
function isHashOf(hashed: string, name: string): boolean {
  const [, , salt = "", hash = ""] = hashed.split("|");
  const expected = Buffer.from(hash, "base64");
  const actual = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function glob(pattern: string): RegExp {
  const escaped = pattern.toLowerCase().replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\*/g, ".*").replace(/\?/g, ".")}$`);
}
