/** `pb serve`: the parts of a server in the process of a command. */

import { tmpdir } from "node:os";
import { createLocalBackend } from "../backend/local/backend.ts";
import type { Vault } from "../credential/vault/vault.ts";
import { JobService } from "../gen/packetboat/v1/job_pb.ts";
import { SessionService } from "../gen/packetboat/v1/session_pb.ts";
import { TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { DEFAULT_MEMORY_BYTES } from "../model/transfer.ts";
import type { PathHistory } from "../native/path-memory.ts";
import { openRoot } from "../native/root.ts";
import { engine } from "../native/session.ts";
import { features } from "./features.ts";
import { type BackendsOptions, openBackends } from "./in-process.ts";
import type { Checkpoints } from "./kept/checkpoint.ts";
import { createServerKeeper, sweepRegularly } from "./kept/server.ts";
import { type OfferedServices, type ServeParts, type ServeRequest, serve } from "./serve.ts";
import type { ServerContext } from "./server-context.ts";
import { createServerJobs } from "./server-jobs.ts";
import { createServerTransfers } from "./server-transfers.ts";
import { createSessionService } from "./session-service.ts";

/** What a server needs to reach remotes of its own. */
export interface Reaching {
  /** Of this program. */
  readonly version: string;
  readonly reach: Omit<BackendsOptions, "home" | "vault">;
  readonly vaultOf: (folder: string) => Vault;
  readonly metrics: Metrics;
  readonly checkpoints: Checkpoints;
  /** Of a client's or a server's folder. */
  readonly historyIn: (folder: string) => PathHistory;
}

/** See `serve`; its parts are the real ones. */
export function serveHere(request: Omit<ServeRequest, "parts">, reaching: Reaching): Promise<void> {
  return serve({ ...request, parts: partsOf(reaching) });
}

function partsOf(reaching: Reaching): ServeParts {
  return {
    version: reaching.version,
    listen: engine.listen,
    openRoot,
    localBackend: (root) => createLocalBackend({ root }),
    features,
    services: (context) => sessionServices(context, reaching),
  };
}

function sessionServices(
  { version, places, listener, live, ...kept }: ServerContext,
  { reach, vaultOf, metrics, checkpoints, historyIn }: Reaching,
): OfferedServices {
  const remotes = openBackends({ ...reach, home: kept.state, vault: vaultOf(kept.state) });
  const transfers = createServerTransfers({
    ...{ state: kept.state, places, remotes, track: live.track },
    ...{ engine, metrics, checkpoints, spoolParent: tmpdir(), keeps: true },
  });
  const keeper = createServerKeeper({ places, engine, checkpoints, ...kept });
  const host = createSessionService({
    version,
    places,
    listener,
    engine,
    memoryBytes: DEFAULT_MEMORY_BYTES,
    track: live.track,
    keeper,
    history: historyIn(kept.state),
  });
  const stopSweeping = sweepRegularly(keeper);
  return {
    routes: (router) => {
      router.service(SessionService, host.service);
      router.service(JobService, createServerJobs(keeper, transfers));
      router.service(TransferService, transfers.service);
    },
    async [Symbol.asyncDispose]() {
      stopSweeping();
      await transfers.close();
      await host.close();
      await remotes.close();
    },
  };
}
