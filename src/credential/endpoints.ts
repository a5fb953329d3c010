/**
 * Configurations of endpoints for the backends: of a configured remote, of a URL, of the machine's own S3 keys. remotes.toml says
 * where, the vault proves who.
 */

import type { EndpointConfig, Setting } from "../model/endpoint.ts";
import { endpointOfUrl, isUrlRemote, type UrlEndpoint } from "../model/endpoint-url.ts";
import { PbError } from "../model/error.ts";
import { type EndpointRemote, type EndpointRemoteStore, openEndpointRemotes } from "./endpoint-remotes.ts";
import { openRemotes } from "./remotes.ts";
import type { Vault } from "./vault/vault.ts";
import { watchedSecrets } from "./watched-secrets.ts";

export interface EndpointsOptions {
  /** PB_HOME, or a server's state. */
  readonly folder: string;
  readonly vault: Vault;
}

/**
 * Implements `EndpointConfigs` of backend/registry.ts. A URL gets the settings and secrets of a remote that is at the same
 * place; else those secrets in the store that are bound to its host, and to its user where both name one.
 */
export function openEndpoints({ folder, vault }: EndpointsOptions): {
  get(remote: string): Promise<EndpointConfig>;
} {
  const endpoints = openEndpointRemotes(folder);
  const servers = openRemotes(folder);

  async function ofName(name: string): Promise<EndpointConfig> {
    const remote = await endpoints.find(name);
    if (remote) return ofRemote(remote, vault);
    try {
      const { name: known, byToken } = await servers.get(name);
      const secrets = secretsOf(vault, known);
      // Each call to the server asks for its token by itself: this one is asked for to be missed when it goes.
      if (byToken) await secrets.secret("token");
      return { kind: "pb", settings: {}, ...secrets };
    } catch (error) {
      // Buckets are reached by the keys in the environment or ~/.aws without a remote, as with any other S3 client.
      const isBare = name === "s3" && PbError.from(error).code === "unknown_remote";
      if (isBare) return { kind: "s3", settings: {}, secret: async () => undefined };
      throw error;
    }
  }

  return {
    async get(wanted) {
      if (!isUrlRemote(wanted)) return ofName(wanted);
      const place = endpointOfUrl(wanted);
      const remote = await remoteAt(endpoints, place);
      if (!remote) return ofUrl(place, vault);
      const { path: _, ...settings } = remote.settings;
      return ofRemote({ ...remote, settings: { ...settings, ...place.settings, ...tlsOf(settings) } }, vault);
    },
  };
}

/** What a remote says of its encryption holds for its URL, too. */
function tlsOf({ tls }: UrlEndpoint["settings"]): Record<string, Setting> {
  return tls === undefined ? {} : { tls };
}

function secretsOf(vault: Vault, name: string) {
  return watchedSecrets(() => vault.get(name));
}

function ofRemote({ name, kind, settings, credential = name }: EndpointRemote, vault: Vault): EndpointConfig {
  return { kind, settings, ...secretsOf(vault, credential) };
}

function ofUrl({ kind, settings }: UrlEndpoint, vault: Vault): EndpointConfig {
  const { user } = settings;
  const host = hostOf(settings);
  const find = async () => {
    if (host === "" || inClear(settings)) return undefined;
    const fitting = (await vault.list()).filter(
      (each) => each.host === host && (each.user === undefined || each.user === user),
    );
    // The user's own before one that is for anybody there.
    return fitting.find((each) => each.user !== undefined) ?? fitting[0];
  };
  return { kind, settings, ...watchedSecrets(find) };
}

/** What was found by a host's name alone is not sent where anybody on the way can read it. */
function inClear({ url, tls }: UrlEndpoint["settings"]): boolean {
  return tls === "off" || (typeof url === "string" && !url.startsWith("https:"));
}

/** At the same host and port, and of the same user where the URL names one. */
async function remoteAt(
  remotes: EndpointRemoteStore,
  wanted: UrlEndpoint,
): Promise<EndpointRemote | undefined> {
  const origin = originOf(wanted);
  const same = (remote: EndpointRemote) =>
    remote.kind === wanted.kind &&
    originOf(remote) === origin &&
    (wanted.settings.user === undefined || remote.settings.user === wanted.settings.user);
  return origin === "" ? undefined : (await remotes.list()).find(same);
}

/** "" where nothing can be said. A web server's scheme is part of it: what is for https never goes to http. */
function originOf({ kind, settings: { url, host, port, tls } }: UrlEndpoint): string {
  if (typeof url === "string" && URL.canParse(url)) return new URL(url).origin;
  if (typeof host !== "string") return "";
  const usual = kind === "sftp" ? 22 : tls === "implicit" ? 990 : 21;
  return `${host.toLowerCase()}:${port ?? usual}`;
}

function hostOf({ url, host }: UrlEndpoint["settings"]): string {
  if (typeof host === "string") return host.toLowerCase();
  return typeof url === "string" && URL.canParse(url) ? new URL(url).hostname : "";
}
