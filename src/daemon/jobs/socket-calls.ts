/** The calls that come through a running job's socket. */

import { createServer, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { errorInterceptor } from "../errors.ts";

/** For the end of streams whose last event has been sent. */
const LAST_BYTES_MS = 500;

export interface JobCalls {
  /** Serves HTTP/2 on it; what has come already is heard too. */
  take(socket: Socket): void;
  /** Ends all sessions, at the latest after half a second. */
  close(): Promise<void>;
}

export function jobCalls(routes: (router: ConnectRouter) => void): JobCalls {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer(connectNodeAdapter({ routes, interceptors: [errorInterceptor()] }));
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  return {
    take: (socket) => {
      server.emit("connection", socket);
    },
    async close() {
      const closed = [...sessions].map((session) => new Promise((resolve) => session.once("close", resolve)));
      // Watchers have had their last event; their streams end by themselves, or with this.
      for (const session of sessions) session.close();
      const late = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, LAST_BYTES_MS);
      await Promise.all(closed);
      clearTimeout(late);
    },
  };
}
