/** What `pb remote` asks for. */

import type { Backend } from "../backend/backend.ts";
import { expiresAt, parseCertificate } from "../credential/certificate.ts";
import { type EndpointRemote, openEndpointRemotes } from "../credential/endpoint-remotes.ts";
import { decodeInvite } from "../credential/invite.ts";
import { wordsOf } from "../credential/jwt/told.ts";
import { checkRemoteName, openRemoteTables, taken, unknownRemote } from "../credential/remote-tables.ts";
import { openRemotes, type Remote, type RemoteKeys } from "../credential/remotes.ts";
import { openVault, type Vault } from "../credential/vault/vault.ts";
import type { EndpointSpec, RemoteActions, RemoteInfo } from "../model/actions.ts";
import { PbError } from "../model/error.ts";
import { madeOf } from "./credentials.ts";
import { testRemote } from "./remote-test.ts";

export interface RemoteActionsOptions {
  /** PB_HOME, or a server's state. */
  readonly home: string;
  readonly vault?: Vault;
  /** Opens a remote of this home, through the registry. */
  readonly open?: (name: string, signal: AbortSignal) => Promise<Backend>;
}

export function createRemoteActions(options: RemoteActionsOptions): RemoteActions {
  const { home, open, vault = openVault({ folder: home }) } = options;
  const store = openRemotes(home);
  const endpoints = openEndpointRemotes(home);

  /** Before anything is spent or asked for. */
  async function demandFree(name: string, replace: boolean): Promise<void> {
    checkRemoteName(name);
    if (!replace && (await openRemoteTables(home).read()).has(name)) throw taken(name);
  }

  /** Undefined where they cannot be read: a broken remote can still be listed and removed. */
  function keysOf(remote: Remote): Promise<RemoteKeys | undefined> {
    return store.keys(remote).catch(() => undefined);
  }

  async function show(name: string): Promise<RemoteInfo> {
    const endpoint = await endpoints.find(name);
    if (endpoint) return endpointInfo(endpoint);
    const remote = (await store.list()).find((each) => each.name === name);
    if (!remote) throw unknownRemote(name, (await openRemoteTables(home).read()).keys());
    return serverInfo(remote);
  }

  async function serverInfo(remote: Remote): Promise<RemoteInfo> {
    return { ...infoOf(remote, await keysOf(remote)), ...(remote.byToken && (await tokenInfo(remote.name))) };
  }

  /** Nobody is asked for a passphrase to see a list. */
  async function tokenInfo(name: string): Promise<Partial<RemoteInfo>> {
    try {
      if ((await vault.state()).locked) return {};
      const token = (await vault.get(name))?.secrets.get("token");
      return (token && wordsOf(token.reveal())) ?? {};
    } catch {
      return {};
    }
  }

  async function keepSecrets(name: string, { secrets }: EndpointSpec): Promise<void> {
    if (secrets.size > 0) await vault.change((all) => all.set(name, madeOf(name, { secrets })));
  }

  /** Of its own name; one that several use stays. */
  async function dropSecrets(name: string): Promise<void> {
    if ((await vault.state()).form === "none" || !(await vault.get(name))) return;
    const others = (await endpoints.list()).some(({ credential }) => credential === name);
    if (!others) await vault.change((all) => all.delete(name));
  }

  return {
    demandFree: (name, { replace }) => demandFree(name, replace),

    async add(name, line, { replace, signal }) {
      await demandFree(name, replace);
      const { enrol } = await import("./enrol.ts");
      const { keys, remote } = await enrol(name, decodeInvite(line), signal);
      await store.put(remote, keys, { replace });
      return infoOf(remote, keys);
    },

    async addEndpoint(name, spec, { replace, signal }) {
      await demandFree(name, replace);
      const { kind, settings, credential } = spec;
      if (kind === "pb") {
        const { remote, ca } = await pinned(name, spec, signal);
        await keepSecrets(name, spec);
        await store.put(remote, { key: "", certificate: "", ca }, { replace });
        return show(name);
      }
      const remote = { name, kind, settings, ...(credential !== undefined && { credential }) };
      // A remote that is refused leaves no secrets behind; one whose secrets can't be kept, since nobody opens the store, is not there.
      if (spec.secrets.size > 0) await vault.list();
      await endpoints.put(remote, { replace });
      await keepSecrets(name, spec);
      return endpointInfo(remote);
    },

    async list() {
      const servers = await store.list();
      const known = await Promise.all(servers.map(serverInfo));
      const all = [...known, ...(await endpoints.list()).map(endpointInfo)];
      return all.sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    show,

    async remove(name) {
      const info = await show(name);
      if (info.type === "pb") await store.remove(name);
      else await endpoints.remove(name);
      await dropSecrets(name);
      return info;
    },

    async rename(from, to) {
      const { type, credential } = await show(from);
      await (type === "pb" ? store : endpoints).rename(from, to);
      if (credential === undefined && (await vault.state()).form !== "none" && (await vault.get(from))) {
        await vault.change((all) => {
          const moved = all.get(from);
          if (moved) all.set(to, { ...moved, name: to });
          all.delete(from);
        });
      }
      return show(to);
    },

    allow: (name, clients) =>
      openRemoteTables(home).edit((all) => {
        const table = all.get(name);
        if (!table) throw unknownRemote(name, all.keys());
        all.set(name, { ...table, allow: [...clients] });
      }),

    async *test(name, options) {
      if (!open) throw new PbError("unsupported", "nothing is opened here", { peer: name });
      await show(name);
      yield* testRemote({ ...options, name, open: (signal) => open(name, signal) });
    },
  };
}

/** A server whose authority is at the address that was given, and is the one of the fingerprint. */
async function pinned(
  name: string,
  { settings: { address, fingerprint }, secrets }: EndpointSpec,
  signal: AbortSignal,
): Promise<{ readonly remote: Remote; readonly ca: string }> {
  if (typeof address !== "string" || typeof fingerprint !== "string" || !/^[0-9a-f]{64}$/.test(fingerprint)) {
    throw new PbError("usage", "a Packetboat server by token needs its address and fingerprint", {
      hint: "pb remote add NAME pb://HOST:PORT --set fingerprint=HEX --stdin token; else use an invite",
    });
  }
  if (!secrets.has("token")) throw new PbError("usage", "no token was given", { hint: "--stdin token" });
  const addresses = [address];
  const { pin } = await import("./enrol.ts");
  const ca = await pin({ name, fingerprint, addresses, signal });
  const remote = { name, addresses, fingerprint, clientId: "", readOnly: false, path: "/", byToken: true };
  return { remote, ca };
}

function endpointInfo({ name, kind, settings, credential }: EndpointRemote): RemoteInfo {
  const { path } = settings;
  return {
    name,
    type: kind,
    address: addressOf(settings),
    fingerprint: "",
    clientId: "",
    readOnly: false,
    path: typeof path === "string" ? path : "/",
    expiresAt: "",
    settings,
    ...(credential !== undefined && { credential }),
  };
}

function addressOf({ url, endpoint, bucket, host, port, user, path }: EndpointRemote["settings"]): string {
  if (host !== undefined) return `${user ? `${user}@` : ""}${host}${port ? `:${port}` : ""}`;
  const where = url ?? endpoint ?? (bucket === undefined ? path : "");
  return [where ?? "", bucket ?? ""].filter((text) => text !== "").join(" ");
}

function infoOf(remote: Remote, keys: RemoteKeys | undefined): RemoteInfo {
  return {
    name: remote.name,
    type: "pb",
    address: remote.addresses[0] ?? "",
    fingerprint: remote.fingerprint,
    clientId: remote.clientId,
    readOnly: remote.readOnly,
    ...(remote.byToken && { byToken: true }),
    path: remote.path,
    expiresAt: keys?.certificate ? expiresAt(parseCertificate(keys.certificate)).toISOString() : "",
  };
}
