import { accessOf, isOurs, scopesIn } from "./scopes.ts";

/** What a token says of itself, verified by nobody: its server may think otherwise. */
export interface TokenWords {
  /** Those that are ours. */
  readonly scopes: readonly string[];
  readonly readOnly: boolean;
  /** ISO 8601; "" where it names no end. */
  readonly expiresAt: string;
}

/** Undefined where it is no JWT. */
export function wordsOf(token: string): TokenWords | undefined {
  const [, payload = "", signature] = token.trim().split(".");
  if (signature === undefined) return undefined;
  const claims = objectIn(Buffer.from(payload, "base64url").toString());
  if (!claims) return undefined;
  const scopes = scopesIn(claims).filter(isOurs);
  const ends = new Date(typeof claims.exp === "number" ? claims.exp * 1000 : Number.NaN);
  return {
    scopes,
    readOnly: accessOf(scopes).every(({ write }) => !write),
    expiresAt: Number.isNaN(ends.getTime()) ? "" : ends.toISOString(),
  };
}

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
