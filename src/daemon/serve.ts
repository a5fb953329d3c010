/** The composition root of a server. */

import type { Socket } from "node:net";
import { join } from "node:path";
import type { ConnectRouter } from "@connectrpc/connect";
import type { Backend } from "../backend/backend.ts";
import { formatAddress } from "../credential/address.ts";
import { serverUri } from "../credential/certificate.ts";
import { type ClientStore, openClients } from "../credential/clients.ts";
import { ensurePrivateFolder } from "../credential/files.ts";
import { type InviteStore, openInvites } from "../credential/invites.ts";
import { openSubjects } from "../credential/jwt/subjects.ts";
import { isTokenGrant, openTokens } from "../credential/jwt/tokens.ts";
import { currentServer, type OpenedState, openServerState } from "../credential/server-state.ts";
import { AdminService } from "../gen/packetboat/v1/admin_pb.ts";
import { FileService } from "../gen/packetboat/v1/file_pb.ts";
import type { ServeOptions } from "../model/actions.ts";
import { PbError } from "../model/error.ts";
import { displayPath, pathText } from "../model/path.ts";
import type { FileRoot, OpenRootOptions } from "../native/root.ts";
import type { ListenOptions, NativeListener } from "../native/types.ts";
import { DEFAULT_PORT, listenAddress } from "./addresses.ts";
import { createAdminService } from "./admin-service.ts";
import { writeBound } from "./bound.ts";
import { callerOf } from "./caller.ts";
import { type Calls, countCalls } from "./calls.ts";
import { createCleanup } from "./cleanup.ts";
import { resolveServe, type ServeSettings } from "./config.ts";
import { createFileService } from "./file-service.ts";
import { forgetInvite, makeFirstInvite } from "./first-invite.ts";
import { createGate, type Gate } from "./gate.ts";
import { createHandler } from "./http.ts";
import { type LiveClients, watchClients } from "./live.ts";
import { createLogger, type Logger } from "./logger.ts";
import { createPlaces, type Places } from "./places.ts";
import { parseRoots } from "./roots.ts";
import { createSecure, type SecureServer } from "./secure-server.ts";
import type { ServerContext } from "./server-context.ts";

/** What a server is made of; real ones come from `native/`. */
export interface ServeParts {
  readonly version: string;
  readonly listen: (options: ListenOptions) => Promise<NativeListener>;
  readonly openRoot: (options: OpenRootOptions) => Promise<FileRoot>;
  readonly localBackend: (root: FileRoot) => Backend;
  /** What this host's engine can: "gso", "gro", "openat2", ... */
  readonly features: () => readonly string[];
  /** Further services: data sessions. Made once for a server and closed with it. */
  readonly services: (context: ServerContext) => OfferedServices;
  /** From what the listener hands over to what TLS runs on; default: a socket on the descriptor. */
  readonly socketOf?: (fd: number) => Socket;
}

export interface OfferedServices extends AsyncDisposable {
  readonly routes: (router: ConnectRouter) => void;
}

export interface ServeRequest {
  readonly options: ServeOptions;
  readonly env: NodeJS.ProcessEnv;
  readonly defaultState: string;
  readonly parts: ServeParts;
}

/** Serves until `options.signal` aborts and what ran has drained. */
export async function serve({ options, env, defaultState, parts }: ServeRequest): Promise<void> {
  if (options.signal.aborted) throw new PbError("aborted", "interrupted", { cause: options.signal.reason });
  const settings = await resolveServe({ options, env, defaultState });
  const logger = createLogger({ level: settings.logLevel, file: settings.logFile });
  await using cleanup = createCleanup();
  const places = cleanup.use(await openPlaces(settings, parts));
  const state = await openServerState(settings.state);
  const clients = openClients(settings.state);
  const invites = openInvites(settings.state);
  await ensurePrivateFolder(join(settings.state, "clients"));
  const tokens = openTokens({
    state: settings.state,
    server: serverUri(state.fingerprint),
    issuers: settings.jwtIssuers,
    audiences: settings.jwtAudiences,
    refreshSeconds: settings.jwtRefreshSeconds,
    onProblem: (issuer, err) => logger.warn({ issuer, err }, "an issuer's keys cannot be asked for again"),
  });
  await tokens.check();
  const subjects = openSubjects(settings.state);
  const isRevoked = (id: string) => (isTokenGrant(id) ? !tokens.stands(id) : clients.isRevoked(id));
  const live = cleanup.use(watchClients({ isRevoked }));

  const door = openDoor(parts);
  const listener = cleanup.use(await listen(settings, { ...parts, onStream: door.onStream }));
  const calls = countCalls();
  const gate = createGate({
    authority: state.authority,
    clients,
    tokens,
    track: live.track,
    onToken: (caller) =>
      subjects.note(caller).catch((err: unknown) => logger.warn({ err }, "a token's holder cannot be noted")),
  });
  const further = cleanup.use(
    parts.services({
      version: parts.version,
      places,
      listener,
      live,
      state: settings.state,
      client: async (id) => {
        const caller = await clients.get(id);
        if (caller) return { caller, revoked: clients.isRevoked(id) };
        const subject = await subjects.get(id);
        return subject && { caller: subject, revoked: false };
      },
      keepMs: settings.keepSeconds * 1_000,
    }),
  );
  const server: Running = {
    settings,
    parts,
    logger,
    state,
    clients,
    invites,
    places,
    live,
    gate,
    calls,
    further,
  };
  const secure = createServer(server);
  cleanup.defer(() => secure.close());
  door.open(secure);
  const stopRenewal = renewCertificate(server, secure);
  cleanup.defer(stopRenewal);

  const bound = { host: listener.host, port: listener.port };
  const roots = parseRoots(settings.roots).map(({ name }) => name);
  await writeBound(join(settings.state, "bound.json"), { ...bound, advertise: settings.advertise, roots });
  const { isNew, fingerprint } = state;
  const { advertise } = settings;
  const invite = await makeFirstInvite({
    state: settings.state,
    isNew,
    fingerprint,
    advertise,
    bound,
    clients,
    invites,
  });
  logger.info(
    { listen: formatAddress(bound), roots: places.names, fingerprint: state.fingerprint },
    "serving",
  );
  options.onReady({
    ...bound,
    fingerprint: state.fingerprint,
    state: settings.state,
    ...(invite !== undefined && { invite }),
  });
  await aborted(options.signal);
  logger.info({ calls: calls.running, drainSeconds: settings.drainSeconds }, "draining");
  const deadline = performance.now() + settings.drainSeconds * 1000;
  await calls.drain(settings.drainSeconds * 1000);
  // Their last bytes may still be on the way out.
  await secure.goAway(Math.max(LAST_BYTES_MS, deadline - performance.now()));
  logger.info("stopped");
}

/** Between the end of a revoked client's jobs and that of its connection; with the look-out's interval below a second. */
const LAST_WORD_MS = 300;

/** What a server that is to stop at once still waits for connections to close. */
const LAST_BYTES_MS = 1000;

interface Running {
  readonly settings: ServeSettings;
  readonly parts: ServeParts;
  readonly logger: Logger;
  readonly state: OpenedState;
  readonly clients: ClientStore;
  readonly invites: InviteStore;
  readonly places: Places;
  readonly live: LiveClients;
  readonly gate: Gate;
  readonly calls: Calls;
  readonly further: OfferedServices;
}

async function openPlaces(settings: ServeSettings, parts: ServeParts): Promise<Places> {
  const specs = parseRoots(settings.roots);
  const roots: { name: string; root: FileRoot }[] = [];
  try {
    for (const { name, directory } of specs) {
      roots.push({ name, root: await parts.openRoot({ directory, resolve: "beneath", writable: true }) });
    }
  } catch (error) {
    for (const { root } of roots) root.close();
    const failed = specs[roots.length]?.directory ?? "";
    const { code, message, hint } = PbError.from(error);
    throw new PbError(code, `--root ${displayPath(failed)}: ${message}`, {
      path: failed,
      cause: error,
      ...(hint !== undefined && { hint }),
    });
  }
  return createPlaces({ roots, backend: parts.localBackend });
}

/** Connections may come in before there is a server to take them; they wait here for a moment. */
function openDoor({ socketOf }: ServeParts) {
  let server: SecureServer | undefined;
  const early: (() => void)[] = [];
  return {
    open(opened: SecureServer): void {
      server = opened;
      for (const take of early.splice(0)) take();
    },
    onStream(fd: number, peer: string): void {
      const take = () => server?.accept(socketOf ? socketOf(fd) : fd, peer);
      if (server) take();
      else early.push(take);
    },
  };
}

async function listen(
  settings: ServeSettings,
  { listen, onStream }: Pick<ServeParts, "listen"> & Pick<ListenOptions, "onStream">,
): Promise<NativeListener> {
  if (settings.listen !== undefined) return listen({ ...(await listenAddress(settings.listen)), onStream });
  try {
    return await listen({ host: "::", port: DEFAULT_PORT, onStream });
  } catch (error) {
    const { code } = PbError.from(error);
    if (code === "address_in_use" || code === "permission_denied") throw error;
    // A host without IPv6.
    return listen({ host: "0.0.0.0", port: DEFAULT_PORT, onStream });
  }
}

function createServer(server: Running): SecureServer {
  const { state, gate, calls, live, logger } = server;
  return createSecure({
    credential: state.server,
    authority: state.ca.certificate,
    handler: createHandler({
      gate,
      calls,
      routes: routesOf(server),
      onFailure: (method, err) => logger[levelOf(err)]({ method, err }, "call failed"),
    }),
    onSecure(socket) {
      const id = gate.provenId(socket);
      if (id === undefined) return;
      // What the client has open is told why first.
      const end = () => setTimeout(() => socket.destroy(), LAST_WORD_MS);
      socket.once("close", live.track(id, end));
    },
    onProblem: (what, peer, err) => logger.debug({ peer, ...(err !== undefined && { err }) }, what),
  });
}

/** What a caller does wrong is its own; what goes wrong here is for the owner. */
function levelOf(error: unknown): "error" | "debug" {
  const { code } = PbError.from(error);
  return code === "internal" || code === "io_error" || code === "fsync_failed" || code === "no_space"
    ? "error"
    : "debug";
}

function routesOf(server: Running): (router: ConnectRouter) => void {
  const { parts, places, state, clients, invites, logger, settings, further } = server;
  const admin = createAdminService({
    ca: state.ca,
    clients,
    invites,
    version: parts.version,
    roots: places.names,
    features: parts.features(),
    onEnrolled({ id, name, address, token }) {
      logger.info({ client: id, name: displayPath(name), peer: address }, "enrolled");
      forgetInvite(settings.state, token).catch((err: unknown) => logger.warn({ err }, "STATE/invite stays"));
    },
  });
  const files = createFileService({
    resolve: (location, context) => {
      if (location.remote !== "") {
        throw new PbError("unsupported", "a server reaches no further remotes", { peer: location.remote });
      }
      return places.spot(callerOf(context), pathText(location.path));
    },
  });
  return (router) => {
    router.service(AdminService, admin);
    router.service(FileService, files);
    further.routes(router);
  };
}

/** Twice a day: the certificate is renewed two months before its end. */
const RENEWAL_INTERVAL_MS = 43_200_000;

function renewCertificate({ settings, state, logger }: Running, secure: SecureServer): () => void {
  const timer = setInterval(() => {
    currentServer(settings.state, state)
      .then((credential) => secure.setCredential(credential))
      .catch((err: unknown) => logger.error({ err }, "the server's certificate cannot be renewed"));
  }, RENEWAL_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
