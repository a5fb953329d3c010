/** The daemon inside the command line's own process: the same services and the same calls as over a socket, without one. */

import { type ConnectRouter, createRouterTransport, type Transport } from "@connectrpc/connect";
import type { Backend, SessionPeer } from "../backend/backend.ts";
import type { PbConnection } from "../backend/pb/connection.ts";
import { type Backends, createBackends } from "../backend/registry.ts";
import { openEndpoints } from "../credential/endpoints.ts";
import { openRemotes } from "../credential/remotes.ts";
import type { Vault } from "../credential/vault/vault.ts";
import { FileService } from "../gen/packetboat/v1/file_pb.ts";
import { pathText } from "../model/path.ts";
import { openFetcher } from "../native/fetch.ts";
import { callerKey, OWN_PROCESS } from "./caller.ts";
import { endpoints } from "./endpoints.ts";
import { errorInterceptor } from "./errors.ts";
import { createFileService } from "./file-service.ts";
import { endLeftCalls } from "./left-calls.ts";
import { remoteBackends, type TokenOf } from "./open-remote.ts";

export interface InProcessOptions {
  /** PB_HOME. */
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly vault: Vault;
  /** This machine's files, from "/". */
  readonly local: () => Promise<Backend>;
  /** How data sessions to a connected remote are opened. */
  readonly peer: (connection: PbConnection) => SessionPeer;
  /** Further services over the same backends. */
  readonly routes?: (router: ConnectRouter, backends: Backends) => void;
}

export interface InProcessDaemon extends AsyncDisposable {
  readonly transport: Transport;
  readonly backends: Pick<Backends, "open" | "watch">;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Milliseconds; a server that is gone is noticed after twice that at most. For tests that have no half a minute. */
const PING_VARIABLE = "PB_PING_MS";

export type BackendsOptions = Omit<InProcessOptions, "routes">;

/** Of remotes where a token stands for the client. */
export function tokensOf(vault: Vault): TokenOf {
  return async (name) => (await vault.get(name))?.secrets.get("token");
}

/** What the remotes of a home, or of a server's state, lead to. */
export function openBackends({ home, env, vault, local, peer }: BackendsOptions): Backends {
  return createBackends({
    local,
    pb: remoteBackends({
      store: openRemotes(home),
      tokenOf: tokensOf(vault),
      peer,
      pingMs: Number(env[PING_VARIABLE]) || undefined,
    }),
    endpoints,
    configs: openEndpoints({ folder: home, vault }),
    tools: { home, env, openFetcher },
  });
}

export function inProcessDaemon(options: InProcessOptions): InProcessDaemon {
  const { routes } = options;
  const backends = openBackends(options);
  const files = createFileService({
    resolve: async ({ remote, path }, { signal }) => ({
      backend: await backends.open(remote, signal),
      path: pathText(path),
      above: "",
    }),
  });
  const transport = createRouterTransport(
    (router) => {
      router.service(FileService, files);
      routes?.(router, backends);
    },
    {
      router: {
        interceptors: [
          endLeftCalls(),
          errorInterceptor(),
          (next) => (request) => {
            request.contextValues.set(callerKey, OWN_PROCESS);
            return next(request);
          },
        ],
      },
    },
  );
  const close = () => backends.close();
  return { transport, backends, close, [Symbol.asyncDispose]: close };
}
