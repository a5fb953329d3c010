/**
 * A running job's socket, `socket` in its folder: the folder is its owner's alone, and so is what may be asked there. Its address goes
 * through a descriptor of the folder, because the path of a Unix socket may have 107 bytes and a PB_HOME more.
 */

import { closeSync, constants, openSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectRouter, Transport } from "@connectrpc/connect";
import { PbError } from "../../model/error.ts";
import type { JobCalls } from "./socket-calls.ts";

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
  const waiting = new Set<Socket>();
  let calls: Promise<JobCalls> | undefined;
  const server = createServer((socket) => {
    waiting.add(socket);
    socket.on("error", () => undefined);
    // HTTP/2 is loaded when somebody comes; to most jobs nobody does.
    calls ??= import("./socket-calls.ts").then(({ jobCalls }) => jobCalls(routes));
    calls
      .then(({ take }) => {
        if (waiting.delete(socket) && !socket.destroyed) take(socket);
      })
      // Another version of the program has taken the place of this one's files: nobody can look on, the job goes on.
      .catch(() => socket.destroy());
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
      for (const socket of waiting) socket.destroy();
      waiting.clear();
      const taken = await calls?.catch(() => undefined);
      await taken?.close();
      await closed;
      closeSync(directory);
    },
  };
}

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
  const { createGrpcTransport, Http2SessionManager } = await import("@connectrpc/connect-node");
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
