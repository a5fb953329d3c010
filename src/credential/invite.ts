/**
 * An invite is one line: `pb1:` and base64url of
 *
 *   32 bytes  SHA-256 of the server's CA certificate (DER)
 *   32 bytes  token
 *    1 byte   count of addresses, each: 1 byte length, HOST:PORT
 *    4 bytes  the first of SHA-256 over all before: tells a damaged copy from a wrong token
 */

import { createHash, randomBytes } from "node:crypto";
import { PbError } from "../model/error.ts";

export interface Invite {
  /** HOST:PORT or [IPv6]:PORT, in the order to try. */
  readonly addresses: readonly string[];
  /** Lower-case hex. */
  readonly fingerprint: string;
  /** base64url of 32 bytes. */
  readonly token: string;
}

const PREFIX = "pb1:";
const HASH_BYTES = 32;
const TOKEN_BYTES = 32;
const CHECK_BYTES = 4;
const MAX_ADDRESSES = 16;
const ADDRESS = /^(\[[0-9a-fA-F:.]+(%[\w.-]+)?\]|[A-Za-z0-9._-]+):\d{1,5}$/;

export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString("base64url");
}

/** What a server keeps of a token: lower-case hex of its SHA-256. */
export function tokenHash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** @throws PbError `invalid_argument` naming an address that is not HOST:PORT */
export function encodeInvite(invite: Invite): string {
  if (invite.addresses.length === 0 || invite.addresses.length > MAX_ADDRESSES) {
    throw new PbError("invalid_argument", `an invite holds 1 to ${MAX_ADDRESSES} addresses`);
  }
  const addresses = invite.addresses.flatMap((address) => {
    const bytes = Buffer.from(checkAddress(address));
    return [Buffer.from([bytes.length]), bytes];
  });
  const body = Buffer.concat([
    Buffer.from(invite.fingerprint, "hex"),
    Buffer.from(invite.token, "base64url"),
    Buffer.from([invite.addresses.length]),
    ...addresses,
  ]);
  return PREFIX + Buffer.concat([body, checkOf(body)]).toString("base64url");
}

/** @throws PbError `token_invalid` saying what is wrong with the line */
export function decodeInvite(line: string): Invite {
  const text = line.trim();
  if (!text.startsWith(PREFIX)) {
    throw damaged(`it does not start with ${PREFIX}`);
  }
  const encoded = text.slice(PREFIX.length);
  if (!/^[A-Za-z0-9_-]+$/.test(encoded)) throw damaged("it holds characters that no invite has");
  const bytes = Buffer.from(encoded, "base64url");
  const body = bytes.subarray(0, -CHECK_BYTES);
  if (body.length <= HASH_BYTES + TOKEN_BYTES || !checkOf(body).equals(bytes.subarray(-CHECK_BYTES))) {
    throw damaged("part of it is missing or changed");
  }
  return {
    fingerprint: body.subarray(0, HASH_BYTES).toString("hex"),
    token: body.subarray(HASH_BYTES, HASH_BYTES + TOKEN_BYTES).toString("base64url"),
    addresses: readAddresses(body.subarray(HASH_BYTES + TOKEN_BYTES)),
  };
}

function readAddresses(bytes: Buffer): string[] {
  const addresses: string[] = [];
  let at = 1;
  for (let left = bytes[0] ?? 0; left > 0; left -= 1) {
    const length = bytes[at] ?? 0;
    const address = bytes.toString("utf8", at + 1, at + 1 + length);
    at += 1 + length;
    if (at > bytes.length || !ADDRESS.test(address)) throw damaged("an address in it cannot be read");
    addresses.push(address);
  }
  if (addresses.length === 0 || at !== bytes.length) throw damaged("its addresses cannot be read");
  return addresses;
}

function checkAddress(address: string): string {
  if (ADDRESS.test(address) && address.length < 256) return address;
  throw new PbError("invalid_argument", `${address} is not an address of the form HOST:PORT or [IPv6]:PORT`);
}

function checkOf(body: Buffer): Buffer {
  return createHash("sha256").update(body).digest().subarray(0, CHECK_BYTES);
}

function damaged(why: string): PbError {
  return new PbError("token_invalid", `the invite is damaged: ${why}`, {
    hint: "copy the whole line that pb serve or pb invite printed",
  });
}
