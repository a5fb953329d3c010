/** A server in the test's own process: everything real, but the listener is Node's, which has TCP only. */

import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SessionPeer } from "../../src/backend/backend.ts";
import { createLocalBackend } from "../../src/backend/local/backend.ts";
import { createRemoteActions } from "../../src/daemon/remotes.ts";
import { type ServeParts, serve } from "../../src/daemon/serve.ts";
import { createServerActions } from "../../src/daemon/server-actions.ts";
import { JobService } from "../../src/gen/packetboat/v1/job_pb.ts";
import { SessionService } from "../../src/gen/packetboat/v1/session_pb.ts";
import { TransferService } from "../../src/gen/packetboat/v1/transfer_pb.ts";
import type { ServeOptions, ServerActions, ServerReady } from "../../src/model/actions.ts";
import { PbError } from "../../src/model/error.ts";
import { openRoot } from "../../src/native/root.ts";
import type { NativeListener } from "../../src/native/types.ts";

/** For backends whose data sessions nobody opens. */
export const noPeer: SessionPeer = {
  name: "",
  hostId: async () => "",
  listJobs: async () => [],
  showJob: () => Promise.reject(new Error()),
  cancelJob: async () => {},
  forgetJob: async () => {},
  pauseJob: async () => {},
  watchJob: () => (async function* () {})(),
  createJob: () => Promise.reject(new Error()),
  openSession: () => Promise.reject(new Error()),
  copy: () => (async function* () {})(),
  start: () => (async function* () {})(),
};

export interface TestServer {
  readonly folder: string;
  readonly root: string;
  readonly state: string;
  readonly ready: ServerReady;
  readonly actions: ServerActions;
  readonly address: string;
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Kept between starts; default: a new one, removed by `removeFolders`. */
  readonly folder?: string;
  readonly port?: number;
  readonly roots?: readonly string[];
  readonly serve?: Partial<ServeOptions>;
}

const folders: string[] = [];

export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pb-server-"));
  await chmod(folder, 0o700);
  folders.push(folder);
  return folder;
}

export async function removeFolders(): Promise<void> {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
}

/** `ServeParts` over node:net. */
export function testParts(): ServeParts {
  const sockets = new Map<number, Socket>();
  let next = 0;
  return {
    version: "0.0.0-test",
    openRoot,
    localBackend: (root) => createLocalBackend({ root }),
    features: () => ["openat2"],
    // Offered, so that the gate is asked, and not implemented.
    services: () => ({
      routes: (router) => {
        router.service(SessionService, {});
        router.service(JobService, {});
        router.service(TransferService, {});
      },
      [Symbol.asyncDispose]: async () => {},
    }),
    socketOf(id) {
      const socket = sockets.get(id);
      if (!socket) throw new PbError("internal", "no such socket");
      sockets.delete(id);
      return socket;
    },
    async listen({ host, port, onStream }): Promise<NativeListener> {
      const server = createServer((socket) => {
        next += 1;
        sockets.set(next, socket);
        onStream(next, `${socket.remoteAddress}:${socket.remotePort}`);
      });
      const bound = await listening(server, host, port);
      const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
      return {
        host,
        port: bound,
        register() {
          throw new PbError("unsupported", "this listener has no data sessions");
        },
        close,
        [Symbol.asyncDispose]: close,
      };
    },
  };
}

function listening(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : 0);
    });
  });
}

export async function startServer(given: StartOptions = {}): Promise<TestServer> {
  const folder = given.folder ?? (await testFolder());
  const root = join(folder, "root");
  const state = join(folder, "state");
  await mkdir(root, { recursive: true });
  const actions = createServerActions({
    home: join(folder, "server-home"),
    env: {},
    serve: (request) => serve({ ...request, parts: testParts() }),
  });
  const stopper = new AbortController();
  let done: Promise<void> = Promise.resolve();
  const ready = await new Promise<ServerReady>((resolve, reject) => {
    done = actions.serve({
      roots: given.roots ?? [root],
      listen: `127.0.0.1:${given.port ?? 0}`,
      state,
      logLevel: "silent",
      drainSeconds: 1,
      ...given.serve,
      signal: stopper.signal,
      onReady: resolve,
    });
    done.catch(reject);
  });
  return {
    folder,
    root,
    state,
    ready,
    actions,
    address: `127.0.0.1:${ready.port}`,
    async stop() {
      stopper.abort();
      await done;
    },
  };
}

/** Enrols a client with its own PB_HOME by the invite, and gives the home. */
export async function enrolClient(invite: string, name = "box"): Promise<string> {
  const home = join(await testFolder(), "home");
  await createRemoteActions({ home }).add(name, invite, {
    replace: false,
    signal: new AbortController().signal,
  });
  return home;
}

/** The invite of the first start. */
export async function inviteOf(server: TestServer): Promise<string> {
  return (await readFile(join(server.state, "invite"), "utf8")).trim();
}

export async function moreInvite(
  server: TestServer,
  options: { readOnly?: boolean; path?: string; expiresSeconds?: number; uses?: number } = {},
): Promise<string> {
  const made = await server.actions.invite({
    state: server.state,
    readOnly: options.readOnly ?? false,
    path: options.path ?? "/",
    expiresSeconds: options.expiresSeconds ?? 60,
    uses: options.uses ?? 1,
  });
  return made.invite;
}
