/** The contract of backends, held by the project's own server: everything real, in one process. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { removeFolders, testFolder } from "../../test/support/server.ts";
import { folderPlace } from "../backend/conformance/fixture.ts";
import { backendSuite } from "../backend/conformance/suite.ts";
import { createSessionPeer } from "../backend/pb/session.ts";
import { openRemotes } from "../credential/remotes.ts";
import type { ServerReady } from "../model/actions.ts";
import { engine } from "../native/session.ts";
import { type Daemon, openDaemon } from "./daemon.ts";
import { remoteBackends } from "./open-remote.ts";

let place: Awaited<ReturnType<typeof folderPlace>>;
let home: string;
let server: Daemon;
let stopped: Promise<void>;
const stop = new AbortController();

/** One server for all: each test has a connection of its own and finds the root empty. */
beforeAll(async () => {
  const folder = await testFolder();
  place = await folderPlace();
  home = join(folder, "client");
  server = openDaemon({ version: "1.2.3", env: { PB_HOME: join(folder, "server") } });
  const ready = await new Promise<ServerReady>((resolve, reject) => {
    stopped = server.server.serve({
      roots: [place.root],
      listen: "127.0.0.1:0",
      logLevel: "silent",
      drainSeconds: 1,
      signal: stop.signal,
      onReady: resolve,
    });
    stopped.catch(reject);
  });
  await using client = openDaemon({ version: "1.2.3", env: { PB_HOME: home } });
  await client.remotes.add("box", ready.invite ?? "", {
    replace: false,
    signal: new AbortController().signal,
  });
});

afterAll(async () => {
  stop.abort();
  await stopped;
  await server.close();
  await place[Symbol.asyncDispose]();
  await removeFolders();
});

backendSuite("pb", async () => {
  const open = remoteBackends({
    store: openRemotes(home),
    tokenOf: async () => undefined,
    peer: (connection) => createSessionPeer({ connection, engine }),
  });
  const backend = await open("box");
  return {
    backend,
    place,
    async [Symbol.asyncDispose]() {
      await backend.close();
      for (const name of await readdir(place.root, { encoding: "buffer" })) {
        const path = Buffer.concat([Buffer.from(`${place.root}/`), name]);
        await rm(path, { recursive: true, force: true });
      }
    },
  };
});
