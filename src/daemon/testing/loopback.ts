/** Servers and a client of one process: the real services without TLS, data over real sockets on loopback. For tests. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import type { Backend } from "../../backend/backend.ts";
import { createLocalBackend } from "../../backend/local/backend.ts";
import { createPbBackend } from "../../backend/pb/backend.ts";
import type { PbConnection } from "../../backend/pb/connection.ts";
import { createSessionPeer } from "../../backend/pb/session.ts";
import { createBackends } from "../../backend/registry.ts";
import { openCheckpoint } from "../../checkpoint/checkpoint.ts";
import { inspectCheckpoint } from "../../checkpoint/inspect.ts";
import { AdminService } from "../../gen/packetboat/v1/admin_pb.ts";
import { FileService } from "../../gen/packetboat/v1/file_pb.ts";
import { JobService } from "../../gen/packetboat/v1/job_pb.ts";
import { SessionService } from "../../gen/packetboat/v1/session_pb.ts";
import type { StartRequestSchema, StartResponse } from "../../gen/packetboat/v1/transfer_pb.ts";
import { TransferService } from "../../gen/packetboat/v1/transfer_pb.ts";
import { Metrics } from "../../metrics/metrics.ts";
import { endpointOfUrl, isUrlRemote } from "../../model/endpoint-url.ts";
import { PbError } from "../../model/error.ts";
import type { Caller } from "../../model/identity.ts";
import { pathBytes } from "../../model/path.ts";
import { openFetcher } from "../../native/fetch.ts";
import { openRoot } from "../../native/root.ts";
import { engine } from "../../native/session.ts";
import { fromConnectError } from "../../wire/connect.ts";
import { callerKey } from "../caller.ts";
import { endpoints } from "../endpoints.ts";
import { errorInterceptor } from "../errors.ts";
import { createFileService } from "../file-service.ts";
import { hostId } from "../host-id.ts";
import { openJobs } from "../jobs/store.ts";
import { createServerKeeper } from "../kept/server.ts";
import { endLeftCalls } from "../left-calls.ts";
import { pathFromWire } from "../paths.ts";
import { createPlaces } from "../places.ts";
import { createServerJobs } from "../server-jobs.ts";
import { createSessionService, type SessionHost } from "../session-service.ts";
import { createTransferService } from "../transfer-service.ts";

const checkpoints = { open: openCheckpoint, inspect: inspectCheckpoint };

export interface LoopbackServer {
  readonly name: string;
  /** What it serves as "/". */
  readonly folder: string;
  /** Who calls; may be changed between calls. */
  caller: Caller;
  /** What it says of its host; this one's. */
  hostId: string;
  readonly sessions: SessionHost;
  /** Further servers' clients use it too. */
  readonly transport: Transport;
  readonly port: number;
  stop(): Promise<void>;
}

export interface Loopback extends AsyncDisposable {
  readonly folder: string;
  readonly box: LoopbackServer;
  /** A second server. */
  readonly other: LoopbackServer;
  readonly transfers: Client<typeof TransferService>;
  readonly metrics: Metrics;
  /** A path below `folder`. */
  at(...names: string[]): string;
}

const EVERYTHING: Caller = { clientId: "client", name: "client", readOnly: false, path: "/" };

export interface LoopbackOptions {
  /** Remotes without an engine, by name. */
  readonly remotes?: Readonly<Record<string, (folder: string) => Promise<Backend>>>;
  /** Remotes at web servers, by name, as they are when first asked. */
  readonly web?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export async function startLoopback({ remotes = {}, web = {} }: LoopbackOptions = {}): Promise<Loopback> {
  const folder = await mkdtemp(join(tmpdir(), "pb-loopback-"));
  const box = await startServer({ name: "box", folder: join(folder, "box") });
  const other = await startServer({ name: "other", folder: join(folder, "other") });
  const servers = [box, other];
  await mkdir(join(folder, "spool"));
  const backends = createBackends({
    local: async () => {
      const root = await openRoot({ directory: "/", resolve: "host", writable: true });
      return createLocalBackend({ root });
    },
    pb: async (remote) => {
      const server = servers.find(({ name }) => name === remote);
      if (!server) throw new PbError("unknown_remote", `no remote ${remote}`, { peer: remote });
      const connection = connectionTo(server);
      return createPbBackend({
        connection,
        peer: createSessionPeer({ connection, engine }),
        writable: !server.caller.readOnly,
      });
    },
    // Those of a test are of a kind that no real one has here.
    endpoints: {
      ...endpoints,
      local:
        async () =>
        async (_, { name }) =>
          remotes[name]?.(folder) ?? Promise.reject(new Error(name)),
    },
    configs: {
      get: async (remote) => {
        const known = remotes[remote] ? "local" : "pb";
        const settings = web[remote];
        if (settings) return { kind: "http", settings, secret: async () => undefined };
        const said = isUrlRemote(remote) ? endpointOfUrl(remote) : ({ kind: known, settings: {} } as const);
        return { ...said, secret: async () => undefined };
      },
    },
    tools: { home: folder, env: {}, openFetcher },
  });
  const metrics = new Metrics();
  const service = createTransferService({
    backends,
    engine,
    metrics,
    store: openJobs(join(folder, "home")),
    checkpoints,
    live: new Map(),
    spoolParent: join(folder, "spool"),
    keeps: true,
  });
  const transport = createRouterTransport((router) => router.service(TransferService, service), {
    router: { interceptors: [endLeftCalls(), errorInterceptor()] },
  });
  return {
    folder,
    box,
    other,
    transfers: createClient(TransferService, transport),
    metrics,
    at: (...names) => join(folder, ...names),
    async [Symbol.asyncDispose]() {
      await backends.close();
      for (const server of servers) await server.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function connectionTo({ name, transport, port }: LoopbackServer): PbConnection {
  return {
    peer: name,
    transport,
    endpoint: async () => ({ host: "127.0.0.1", port, local: "127.0.0.1" }),
    lastWord: async (call) => {
      await call().catch(() => undefined);
    },
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

async function startServer({
  name,
  folder,
}: {
  readonly name: string;
  readonly folder: string;
}): Promise<LoopbackServer> {
  await mkdir(folder);
  const root = await openRoot({ directory: folder, resolve: "beneath", writable: true });
  const places = createPlaces({
    roots: [{ name: "", root }],
    backend: (each) => createLocalBackend({ root: each }),
  });
  const listener = await engine.listen({ host: "127.0.0.1", port: 0, onStream: () => {} });
  const keeper = createServerKeeper({
    state: `${folder}-state`,
    places,
    engine,
    checkpoints,
    client: async () => ({ caller: server.caller, revoked: false }),
    keepMs: 86_400_000,
  });
  const sessions = createSessionService({
    version: "test",
    places,
    listener,
    engine,
    memoryBytes: 64 * 1024 * 1024,
    track: () => () => {},
    keeper,
  });
  const server: LoopbackServer = {
    name,
    folder,
    caller: EVERYTHING,
    hostId: hostId(),
    sessions,
    port: listener.port,
    transport: createRouterTransport(
      (router) => {
        router.service(SessionService, sessions.service);
        router.service(JobService, createServerJobs(keeper, noTransfers));
        router.service(AdminService, { info: () => ({ hostId: server.hostId }) });
        router.service(
          FileService,
          createFileService({
            resolve: (location) => places.spot(server.caller, pathFromWire(location.path)),
          }),
        );
      },
      {
        router: {
          interceptors: [
            endLeftCalls(),
            errorInterceptor(),
            (next) => (request) => {
              request.contextValues.set(callerKey, server.caller);
              return next(request);
            },
          ],
        },
      },
    ),
    async stop() {
      await sessions.close();
      await listener.close();
      await places.close();
    },
  };
  return server;
}

/** It runs no jobs of its own. */
const noTransfers: Parameters<typeof createServerJobs>[1] = {
  begin: () => Promise.reject(new PbError("unsupported", "no transfers here")),
  homes: async () => [],
};

export type Wanted = Omit<MessageInitShape<typeof StartRequestSchema>, "sources" | "destination"> & {
  /** "box:/path", or a path of this machine. */
  readonly from?: string | readonly string[];
  readonly to?: string;
  readonly signal?: AbortSignal;
};

export interface Ended {
  readonly events: readonly StartResponse["event"][];
  readonly receipt: Extract<StartResponse["event"], { case: "receipt" }>["value"] | undefined;
  /** What the call failed with. */
  readonly error: PbError | undefined;
}

/** Runs a transfer to its end. */
export async function transfer({ transfers }: Loopback, wanted: Wanted): Promise<Ended> {
  const { from = [], to, signal, ...rest } = wanted;
  const sources = (typeof from === "string" ? [from] : from).map(location);
  const { $typeName: _, ...fields } = { $typeName: undefined, ...rest };
  const request = { ...fields, sources, ...(to === undefined ? {} : { destination: location(to) }) };
  const events: StartResponse["event"][] = [];
  let error: PbError | undefined;
  try {
    const options = signal ? { signal } : {};
    for await (const { event } of transfers.start(request, options)) events.push(event);
  } catch (cause) {
    error = fromConnectError(cause);
  }
  const last = events.at(-1);
  return { events, error, receipt: last?.case === "receipt" ? last.value : undefined };
}

function location(text: string) {
  const [, remote = "", path = text] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  return { remote, path: pathBytes(path) };
}
