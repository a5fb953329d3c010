import { join } from "node:path";
import { serverUri } from "../credential/certificate.ts";
import { accessOf, checkScopes } from "../credential/jwt/scopes.ts";
import { issueToken, revokeToken, rotateSigningKey } from "../credential/jwt/signing.ts";
import { readAuthority } from "../credential/server-state.ts";
import type { CredentialActions } from "../model/actions.ts";
import { Secret } from "../model/endpoint.ts";
import { PbError } from "../model/error.ts";
import { readBound } from "./bound.ts";

/** Tokens for the server whose state folder this is. */
export function createTokenActions(
  state: string,
): Pick<CredentialActions, "issueToken" | "revokeToken" | "rotateTokenKey"> {
  return {
    async issueToken({ subject, scopes, expiresSeconds }) {
      const server = serverUri((await readAuthority(state)).fingerprint);
      await checkRoots(state, scopes);
      const { token, id, expiresAt } = await issueToken(state, { server, subject, scopes, expiresSeconds });
      const end = expiresAt.toISOString();
      return { token: new Secret(token), id, subject, scopes, expiresAt: end, audience: server };
    },
    async revokeToken(id) {
      await readAuthority(state);
      await revokeToken(state, id);
    },
    async rotateTokenKey() {
      await readAuthority(state);
      await rotateSigningKey(state);
    },
  };
}

/** Before its first start a server's roots are not known. @throws PbError `usage` */
async function checkRoots(state: string, scopes: readonly string[]): Promise<void> {
  checkScopes(scopes);
  const { roots } = await readBound(join(state, "bound.json"));
  const wrong = accessOf(scopes).find(({ root }) => root !== "*" && roots && !roots.includes(root));
  if (!roots || !wrong) return;
  const what = wrong.root === "" ? "no root without a name" : `no root called ${wrong.root}`;
  const there = roots.map((name) => (name === "" ? "/" : name)).join(", ");
  throw new PbError("usage", `the server has ${what}, as it was started last; it has ${there}`, {
    hint: "start it with pb serve --root NAME=DIR first, or name a root that is there (* for all)",
  });
}
