import { createHash } from "node:crypto";

/** A version's text as the number that the engine remembers it by (64 bits of SHA-256); 0n: none. */
export function versionNumber(version: string | undefined): bigint {
  if (version === undefined || version === "") return 0n;
  return createHash("sha256").update(version).digest().readBigUInt64LE();
}
