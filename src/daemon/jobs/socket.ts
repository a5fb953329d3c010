/**
 * A running job's socket, `socket` in its folder: the folder is its owner's alone, and so is what may be asked there. Its address goes
 * through a descriptor of the folder, because the path of a Unix socket may have 107 bytes and a PB_HOME more.
 */

import { closeSync, constants, openSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { createServer, type ServerHttp2Session } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectRouter, Transport } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { PbError } from "../../model/error.ts";
import { errorInterceptor } from "../errors.ts";

const NAME = "socket";
/** Stands for the job in URLs; the socket decides where calls go. */
const AUTHORITY = "http://job";
/** Between the moment in which a process has taken a job and that in which it listens; a busy machine's. */
const REACH_MS = 5_000;
const POLL_MS = 25;

/** @throws PbError `io_error` when the folder takes no socket */
export async function serveJob(
  folder: string,
  routes: (router: ConnectRouter) => void,
): Promise<AsyncDisposable> {
  const directory = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer(connectNodeAdapter({ routes, interceptors: [errorInterceptor()] }));
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  try {
    // Of a run before, which is over: this process has claimed the job.
    await unlink(join(folder, NAME)).catch(() => undefined);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ path: addressIn(directory) }, resolve);
    });
  } catch (cause) {
    closeSync(directory);
    throw PbError.from(cause, "io_error", { path: join(folder, NAME) });
  }
  // It does not keep the process.
  server.unref();
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Watchers have had their last event; their streams end by themselves, or with this.
      for (const session of sessions) session.close();
      const late = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, LAST_BYTES_MS);
      await closed;
      clearTimeout(late);
      closeSync(directory);
    },
  };
}

const LAST_BYTES_MS = 500;

/** Calls to the process that runs the job of a folder. */
export interface JobConnection extends Disposable {
  readonly transport: Transport;
}

/** @throws PbError `not_found` when there is no such folder, `unreachable` when nobody listens there */
export async function connectJob(folder: string, signal: AbortSignal): Promise<JobConnection> {
  let directory: number;
  try {
    directory = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw PbError.from(cause, "not_found", { path: folder });
  }
  try {
    await reach(directory, signal);
  } catch (cause) {
    closeSync(directory);
    throw PbError.from(cause, "unreachable", { path: join(folder, NAME) });
  }
  const sessionManager = new Http2SessionManager(
    AUTHORITY,
    {},
    {
      createConnection: () => connect({ path: addressIn(directory) }),
    },
  );
  return {
    transport: createGrpcTransport({ baseUrl: AUTHORITY, sessionManager, acceptCompression: [] }),
    [Symbol.dispose]() {
      sessionManager.abort();
      closeSync(directory);
    },
  };
}

/** Waits until somebody listens. */
async function reach(directory: number, signal: AbortSignal): Promise<void> {
  const until = performance.now() + REACH_MS;
  for (;;) {
    const failure = await tryConnect(directory);
    if (failure === undefined) return;
    signal.throwIfAborted();
    if (performance.now() > until) throw failure;
    await sleep(POLL_MS, undefined, { signal });
  }
}

function tryConnect(directory: number): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path: addressIn(directory) });
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", resolve);
  });
}

function addressIn(directory: number): string {
  return `/proc/self/fd/${directory}/${NAME}`;
}
