/** Everything that the command line asks for, in its own process. The entry of this room. */

import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Transport } from "@connectrpc/connect";
import { createLocalBackend } from "../backend/local/backend.ts";
import type { PbConnection } from "../backend/pb/connection.ts";
import { createSessionPeer } from "../backend/pb/session.ts";
import type { Backends } from "../backend/registry.ts";
import { openCheckpoint } from "../checkpoint/checkpoint.ts";
import { inspectCheckpoint } from "../checkpoint/inspect.ts";
import { pbHome } from "../credential/home.ts";
import { openRemotes } from "../credential/remotes.ts";
import { type PassphraseSource, passphraseSource } from "../credential/vault/passphrase.ts";
import { openVault } from "../credential/vault/vault.ts";
import { JobService } from "../gen/packetboat/v1/job_pb.ts";
import { TransferService } from "../gen/packetboat/v1/transfer_pb.ts";
import { Metrics } from "../metrics/metrics.ts";
import type {
  CredentialActions,
  DoctorActions,
  RemoteActions,
  ServerActions,
  StoreActions,
} from "../model/actions.ts";
import { refuseDumps } from "../native/process.ts";
import { openRoot } from "../native/root.ts";
import { engine } from "../native/session.ts";
import { clientsOf } from "./clients.ts";
import { createCredentialActions } from "./credentials.ts";
import { inProcessDaemon, openBackends, tokensOf } from "./in-process.ts";
import type { LiveJob } from "./jobs/live.ts";
import { createJobService } from "./jobs/service.ts";
import { openJobs } from "./jobs/store.ts";
import type { Checkpoints } from "./kept/checkpoint.ts";
import { openPathHistory } from "./path-history.ts";
import { createRemoteActions } from "./remotes.ts";
import { createServerActions } from "./server-actions.ts";
import { createTransferService } from "./transfer-service.ts";

const checkpoints: Checkpoints = { open: openCheckpoint, inspect: inspectCheckpoint };

export { clientsOf, passphraseSource, refuseDumps };

export interface DaemonOptions {
  /** Of this program, shown to peers. */
  readonly version: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Where the passphrase of a locked store comes from; default: the environment. */
  readonly passphrase?: PassphraseSource;
  /** For the user, now. */
  readonly warn?: (text: string) => void;
}

export interface Daemon extends AsyncDisposable {
  /** FileService, TransferService and JobService, for `createClient`. */
  readonly transport: Transport;
  readonly remotes: RemoteActions;
  readonly credentials: CredentialActions;
  /** The same of a server's state folder. */
  storeOf(state: string): StoreActions;
  readonly server: ServerActions;
  readonly doctor: DoctorActions;
  readonly metrics: Metrics;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Of a client and of a server, in the folder of its state. */
const PATHS_FILE = "paths.json";

/** "off": transfers begun here keep no checkpoint, here or at a server, and can't be resumed. */
const CHECKPOINTS_VARIABLE = "PB_CHECKPOINTS";

/** @throws PbError `usage` for a PB_HOME that cannot be */
export function openDaemon({ version, env = process.env, warn, ...options }: DaemonOptions): Daemon {
  const home = pbHome(env);
  const passphrase = options.passphrase ?? passphraseSource({ env });
  const vaultOf = (folder: string) => openVault({ folder, passphrase, ...(warn && { warn }) });
  const vault = vaultOf(home);
  const metrics = new Metrics();
  const store = openJobs(home);
  const live = new Map<string, LiveJob>();
  const historyIn = (folder: string) => openPathHistory(join(folder, PATHS_FILE));
  const history = historyIn(home);
  const reach = {
    env,
    local: async () => {
      const root = await openRoot({ directory: "/", resolve: "host", writable: true });
      return createLocalBackend({ root });
    },
    peer: (connection: PbConnection) => createSessionPeer({ connection, engine, history }),
  };
  const inside = inProcessDaemon({
    ...reach,
    home,
    vault,
    routes: (router, backends) => {
      const keeps = env[CHECKPOINTS_VARIABLE] !== "off";
      const jobs = { backends, engine, metrics, store, checkpoints, live, keeps, spoolParent: tmpdir() };
      router.service(TransferService, createTransferService(jobs));
      router.service(JobService, createJobService(jobs));
    },
  });
  const further: Backends[] = [];
  const storeOf = (state: string): StoreActions => {
    const theirs = vaultOf(state);
    const backends = openBackends({ ...reach, home: state, vault: theirs });
    further.push(backends);
    return {
      remotes: createRemoteActions({ home: state, vault: theirs, open: backends.open }),
      credentials: createCredentialActions({ folder: state, vault: theirs, passphrase, env }),
    };
  };
  const close = async () => {
    // A job that nobody reads any more is recorded as what it is before its process ends.
    await Promise.allSettled([...live.values()].map((job) => job.stop("pause")));
    await inside.close();
    await Promise.all(further.map((backends) => backends.close()));
  };
  return {
    transport: inside.transport,
    remotes: createRemoteActions({ home, vault, open: inside.backends.open }),
    credentials: createCredentialActions({ folder: home, vault, passphrase, env }),
    storeOf,
    // Each is a command of its own: no other need load what they need.
    server: createServerActions({
      home,
      env,
      serve: async (request) => {
        const { serveHere } = await import("./serving.ts");
        await serveHere(request, { version, reach, vaultOf, metrics, checkpoints, historyIn });
      },
    }),
    doctor: {
      async *check(options) {
        const { createDoctor } = await import("./doctor/doctor.ts");
        const store = openRemotes(home);
        yield* createDoctor({ home, store, tokenOf: tokensOf(vault), engine }).check(options);
      },
    },
    metrics,
    close,
    [Symbol.asyncDispose]: close,
  };
}
