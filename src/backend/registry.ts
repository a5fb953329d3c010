import type { EndpointConfig, EndpointKind, SecretsWatcher } from "../model/endpoint.ts";
import { PbError } from "../model/error.ts";
import type { Fetcher, FetcherOptions } from "../native/types.ts";
import type { Backend } from "./backend.ts";
import { refuseAborted } from "./signals.ts";

/** What a backend gets besides its configuration. */
export interface EndpointTools {
  /** What the user calls it: a remote's name, or a URL without its path. For errors, as `peer`. */
  readonly name: string;
  /** PB_HOME: for what a backend keeps of its own (host keys that were accepted). */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For content that need not pass through JavaScript; absent: all of it does. */
  readonly openFetcher?: ((options: FetcherOptions) => Fetcher) | undefined;
}

/**
 * Each backend without an engine exports one, named in daemon/endpoints.ts. Connects lazily: what can be wrong is told by the first call that needs it.
 *
 * @throws PbError `invalid_argument` for a configuration that can't be, naming the setting
 */
export type OpenEndpoint = (config: EndpointConfig, tools: EndpointTools) => Promise<Backend>;

/** By kind; loading is lazy, so that a command pays only for the packages of the endpoints that it uses. */
export type EndpointLoaders = Readonly<Partial<Record<EndpointKind, () => Promise<OpenEndpoint>>>>;

/** Where configurations and secrets come from; implemented in credential/. */
export interface EndpointConfigs {
  /** @param remote as in `Location.remote`, not "". @throws PbError `unknown_remote`, `usage` */
  get(remote: string): Promise<EndpointConfig>;
}

/** How each kind of place is opened. Called at most once for a place while its backend is open. */
export interface BackendFactories {
  readonly local: () => Promise<Backend>;
  /** @param remote a configured remote's name, or host:port of one. @throws PbError `unknown_remote` */
  readonly pb: (remote: string) => Promise<Backend>;
  readonly endpoints: EndpointLoaders;
  readonly configs: EndpointConfigs;
  readonly tools: Omit<EndpointTools, "name">;
}

/** From a place's name to its backend, opened once and shared by all who ask. */
export interface Backends extends AsyncDisposable {
  /** @param remote "" for this machine. @throws PbError `unknown_remote`, `aborted`, `unsupported` */
  open(remote: string, signal: AbortSignal): Promise<Backend>;
  /** Tells what happens to the secrets of a place that is open, until what it returns is called. */
  watch(remote: string, watcher: SecretsWatcher): () => void;
  /** Its configuration is another now: whoever opens it from here on has a backend of that. Those who have the one before keep it. */
  renew(remote: string): void;
  /** Idempotent; closes every backend. */
  close(): Promise<void>;
}

export function createBackends(factories: BackendFactories): Backends {
  const opened = new Map<string, Promise<Backend>>();
  const configs = new Map<string, EndpointConfig>();
  const renewed: Promise<Backend>[] = [];
  let closed = false;

  function opening(remote: string): Promise<Backend> {
    const known = opened.get(remote);
    if (known) return known;
    const made = remote === "" ? factories.local() : openNamed(remote);
    opened.set(remote, made);
    // A place that could not be opened may be there at the next call.
    made.catch(() => {
      if (opened.get(remote) === made) opened.delete(remote);
    });
    return made;
  }

  async function openNamed(remote: string): Promise<Backend> {
    const config = await factories.configs.get(remote);
    configs.set(remote, config);
    return openRemote(factories, remote, config);
  }

  const backends: Backends = {
    async open(remote, signal) {
      refuseAborted(signal);
      if (closed) throw new PbError("aborted", "the daemon is closed");
      return opening(remote);
    },
    watch: (remote, watcher) => configs.get(remote)?.watch?.(watcher) ?? (() => {}),
    renew(remote) {
      const before = opened.get(remote);
      opened.delete(remote);
      if (before) renewed.push(before);
    },
    async close() {
      closed = true;
      const all = [...opened.values(), ...renewed];
      opened.clear();
      const backends = (await Promise.allSettled(all)).flatMap((result) =>
        result.status === "fulfilled" ? [result.value] : [],
      );
      await Promise.allSettled(backends.map((backend) => backend.close()));
    },
    [Symbol.asyncDispose]: () => backends.close(),
  };
  return backends;
}

async function openRemote(
  factories: BackendFactories,
  remote: string,
  config: EndpointConfig,
): Promise<Backend> {
  if (config.kind === "pb") return factories.pb(remote);
  const load = factories.endpoints[config.kind];
  if (load === undefined) {
    throw new PbError("unsupported", `this version of pb has no backend for ${config.kind}`, {
      peer: remote,
    });
  }
  const open = await load();
  // The query of a URL may be a secret.
  return open(config, { ...factories.tools, name: remote.replace(/\?.*$/s, "") });
}
