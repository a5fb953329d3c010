import { createHash } from "node:crypto";

/** Layout of an invite: src/credential/invite.ts. */
const PREFIX = "pb1:";
const CHECK_BYTES = 4;

/** Changes one byte of an invite and mends its checksum, so that it is another invite and not a damaged one. */
export function forgeInvite(invite: string, part: "fingerprint" | "token"): string {
  const bytes = Buffer.from(invite.trim().slice(PREFIX.length), "base64url");
  const body = bytes.subarray(0, -CHECK_BYTES);
  const at = part === "fingerprint" ? 0 : 32;
  body.writeUInt8((body.readUInt8(at) + 1) % 256, at);
  const check = createHash("sha256").update(body).digest().subarray(0, CHECK_BYTES);
  return PREFIX + Buffer.concat([body, check]).toString("base64url");
}
