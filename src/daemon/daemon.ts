/** Everything that the command line asks for, in its own process. The entry of this room. */

import type { Transport } from "@connectrpc/connect";
import { createLocalBackend } from "../backend/local/backend.ts";
import { createSessionPeer } from "../backend/pb/session.ts";
import { pbHome } from "../credential/home.ts";
import { openRemotes } from "../credential/remotes.ts";
import { SessionService } from "../gen/packetboat/v1/session_pb.ts";
import { TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import { Metrics } from "../metrics/metrics.ts";
import type { DoctorActions, RemoteActions, ServerActions } from "../model/actions.ts";
import { DEFAULT_MEMORY_BYTES } from "../model/transfer.ts";
import { openRoot } from "../native/root.ts";
import { engine } from "../native/session.ts";
import { createDoctor } from "./doctor/doctor.ts";
import { features } from "./features.ts";
import { inProcessDaemon } from "./in-process.ts";
import { createRemoteActions } from "./remotes.ts";
import type { OfferedServices, ServeParts } from "./serve.ts";
import { createServerActions } from "./server-actions.ts";
import type { ServerContext } from "./server-context.ts";
import { createSessionService } from "./session-service.ts";
import { createTransferService } from "./transfer-service.ts";

export interface DaemonOptions {
  /** Of this program, shown to peers. */
  readonly version: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface Daemon extends AsyncDisposable {
  /** FileService and TransferService, for `createClient`. */
  readonly transport: Transport;
  readonly remotes: RemoteActions;
  readonly server: ServerActions;
  readonly doctor: DoctorActions;
  readonly metrics: Metrics;
  /** Idempotent. */
  close(): Promise<void>;
}

/** @throws PbError `usage` for a PB_HOME that cannot be */
export function openDaemon({ version, env = process.env }: DaemonOptions): Daemon {
  const home = pbHome(env);
  const metrics = new Metrics();
  const inside = inProcessDaemon({
    home,
    local: async () => {
      const root = await openRoot({ directory: "/", resolve: "host", writable: true });
      return createLocalBackend({ root });
    },
    peer: (connection) => createSessionPeer({ connection, engine }),
    routes: (router, backends) => {
      router.service(TransferService, createTransferService({ backends, engine, metrics }));
    },
  });
  return {
    transport: inside.transport,
    remotes: createRemoteActions({ home }),
    server: createServerActions({ home, env, parts: serveParts(version) }),
    doctor: createDoctor({ home, store: openRemotes(home), engine }),
    metrics,
    close: () => inside.close(),
    [Symbol.asyncDispose]: () => inside.close(),
  };
}

function serveParts(version: string): ServeParts {
  return {
    version,
    listen: engine.listen,
    openRoot,
    localBackend: (root) => createLocalBackend({ root }),
    features,
    services: sessionServices,
  };
}

function sessionServices({ version, places, listener, live }: ServerContext): OfferedServices {
  const host = createSessionService({
    version,
    places,
    listener,
    engine,
    memoryBytes: DEFAULT_MEMORY_BYTES,
    track: live.track,
  });
  return {
    routes: (router) => router.service(SessionService, host.service),
    [Symbol.asyncDispose]: () => host.close(),
  };
}
