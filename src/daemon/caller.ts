import { type ContextValues, createContextKey } from "@connectrpc/connect";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";

/** Set by the gate, for each call that it lets pass. Without it nobody calls. */
export const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller" });

/** @throws PbError `unauthenticated` when no gate has set a caller */
export function callerOf(context: { readonly values: ContextValues }): Caller {
  const caller = context.values.get(callerKey);
  if (!caller) throw new PbError("unauthenticated", "this call needs a client certificate of this server");
  return caller;
}

/** Why what a caller has open ends. A token's end is not its holder's: with another one a job goes on, and what it has kept stays. */
export function takenFrom({ grant }: Caller): PbError {
  if (grant === undefined) return new PbError("revoked", "the access of this client was revoked");
  return new PbError("token_expired", "the token that this began with was revoked or has ended");
}

/** The user of this very process: all of this machine that the process may touch. */
export const OWN_PROCESS: Caller = { clientId: "", name: "", readOnly: false, path: "/" };
