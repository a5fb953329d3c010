import { serverUri } from "../credential/certificate.ts";
import { issueToken, revokeToken, rotateSigningKey } from "../credential/jwt/signing.ts";
import { readAuthority } from "../credential/server-state.ts";
import type { CredentialActions } from "../model/actions.ts";
import { Secret } from "../model/endpoint.ts";

/** Tokens for the server whose state folder this is. */
export function createTokenActions(
  state: string,
): Pick<CredentialActions, "issueToken" | "revokeToken" | "rotateTokenKey"> {
  return {
    async issueToken({ subject, scopes, expiresSeconds }) {
      const server = serverUri((await readAuthority(state)).fingerprint);
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
