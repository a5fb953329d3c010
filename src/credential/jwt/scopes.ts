import { PbError } from "../../model/error.ts";
import type { RootAccess } from "../../model/identity.ts";

/** `pb:read:ROOT`, `pb:write:ROOT`; `*`: every root, `/`: the one without a name. */
const SCOPE = /^pb:(read|write):(\*|\/|[A-Za-z0-9][A-Za-z0-9_.-]{0,63})$/;

/** What a token's scopes give; what is not ours is none of our business. Writing is reading too. */
export function accessOf(scopes: readonly string[]): RootAccess[] {
  const access = new Map<string, boolean>();
  for (const scope of scopes) {
    const [, verb, root = ""] = SCOPE.exec(scope) ?? [];
    if (verb === undefined) continue;
    access.set(root, verb === "write" || access.get(root) === true);
  }
  return [...access].map(([root, write]) => ({ root: root === "/" ? "" : root, write }));
}

export function isOurs(scope: string): boolean {
  return SCOPE.test(scope);
}

/** @throws PbError `usage` for one that is none of ours */
export function checkScopes(scopes: readonly string[]): void {
  const wrong = scopes.find((scope) => !isOurs(scope));
  if (scopes.length > 0 && wrong === undefined) return;
  throw new PbError(
    "usage",
    wrong === undefined ? "a token without a scope opens nothing" : `no scope: ${wrong}`,
    {
      hint: "--scope pb:read:ROOT or pb:write:ROOT; ROOT is a root's name, / the one without a name, * all",
    },
  );
}

/** RFC 8693 section 4.2 has a text of words; some issuers write a list, or `scp`. */
export function scopesIn(claims: Readonly<Record<string, unknown>>): string[] {
  const given = claims.scope ?? claims.scp ?? [];
  const words = typeof given === "string" ? given.split(/\s+/) : Array.isArray(given) ? given : [];
  return words.filter((word): word is string => typeof word === "string" && word !== "");
}
