import { join, resolve } from "node:path";
import { type ClientStatus, openClients } from "../credential/clients.ts";
import { defaultState } from "../credential/home.ts";
import { encodeInvite } from "../credential/invite.ts";
import { openInvites } from "../credential/invites.ts";
import { readAuthority } from "../credential/server-state.ts";
import type { ClientInfo, InviteInfo, InviteOptions, ServerActions } from "../model/actions.ts";
import { inviteAddresses } from "./addresses.ts";
import { readBound } from "./bound.ts";
import { cleanPath } from "./paths.ts";
import type { ServeRequest } from "./serve.ts";

export interface ServerActionsOptions {
  readonly home: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly serve: (request: Omit<ServeRequest, "parts">) => Promise<void>;
}

/** What a server's owner does, on the server's own machine. */
export function createServerActions({ home, env = process.env, serve }: ServerActionsOptions): ServerActions {
  const stateOf = (given: string | undefined) => resolve(given ?? (env.PB_STATE || defaultState(home)));

  return {
    serve: (options) => serve({ options, env, defaultState: defaultState(home) }),
    invite: (options) => invite(stateOf(options.state), options),

    defaultState: () => stateOf(undefined),

    async clients(state) {
      const folder = stateOf(state);
      await readAuthority(folder);
      return (await openClients(folder).list()).map(infoOf);
    },

    async revoke(id, state) {
      const folder = stateOf(state);
      await readAuthority(folder);
      return infoOf(await openClients(folder).revoke(id));
    },
  };
}

async function invite(state: string, options: InviteOptions): Promise<InviteInfo> {
  const { fingerprint } = await readAuthority(state);
  const bound = await readBound(join(state, "bound.json"));
  const advertise = options.advertise === undefined ? bound.advertise : [options.advertise];
  const addresses = inviteAddresses(advertise, bound);
  const { readOnly, uses } = options;
  const path = `/${cleanPath(options.path)}`;
  const expiresAtMs = Date.now() + options.expiresSeconds * 1000;
  const token = await openInvites(state).create({ readOnly, uses, path, expiresAtMs });
  return {
    invite: encodeInvite({ addresses, fingerprint, token }),
    expiresAt: new Date(expiresAtMs).toISOString(),
    uses,
    readOnly,
    path,
  };
}

function infoOf(client: ClientStatus): ClientInfo {
  const { clientId, name, enrolledAt, lastSeenAt, expiresAt, readOnly, path, revoked } = client;
  return { id: clientId, name, enrolledAt, lastSeenAt, expiresAt, readOnly, path, revoked };
}
