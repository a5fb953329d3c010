/** What a server answers over HTTP: the API, and /healthz. */

import type { Http2ServerRequest } from "node:http2";
import { type ConnectRouter, createContextValues } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Calls } from "./calls.ts";
import { errorInterceptor } from "./errors.ts";
import type { Gate } from "./gate.ts";
import { peerKey, socketOf } from "./peer.ts";
import type { Handler } from "./secure-server.ts";

export interface HttpOptions {
  readonly gate: Gate;
  readonly calls: Calls;
  readonly routes: (router: ConnectRouter) => void;
  readonly onFailure: (method: string, error: unknown) => void;
}

/** Of one request message. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** From one who has proven nothing: an invite's token and a certificate request. */
const MAX_STRANGER_BYTES = 16 * 1024;

export function createHandler({ gate, calls, routes, onFailure }: HttpOptions): Handler {
  const adapter = (readMaxBytes: number): Handler =>
    connectNodeAdapter({
      routes,
      readMaxBytes,
      acceptCompression: [],
      // Outermost first: errors are mapped last, and nothing is counted that the gate refuses.
      interceptors: [errorInterceptor(onFailure), gate.interceptor, calls.interceptor],
      contextValues(request) {
        const values = createContextValues();
        const socket = socketOf(request);
        if (socket) values.set(peerKey, { socket, address: socket.remoteAddress ?? "" });
        return values;
      },
      fallback(_request, response) {
        response.writeHead(404);
        response.end();
      },
    });
  const known = adapter(MAX_REQUEST_BYTES);
  const stranger = adapter(MAX_STRANGER_BYTES);

  return (request, response) => {
    if (isHealth(request)) {
      response.writeHead(200, { "content-type": "text/plain" });
      response.end("ok\n");
      return;
    }
    const { authorization } = request.headers;
    const socket = socketOf(request);
    if (socket === undefined) return stranger(request, response);
    if (authorization === undefined) {
      return (gate.provenId(socket) === undefined ? stranger : known)(request, response);
    }
    // The gate asks again, and tells what is wrong.
    gate.admit(socket, authorization).then(
      () => known(request, response),
      () => stranger(request, response),
    );
  };
}

function isHealth({ method, url }: Http2ServerRequest): boolean {
  return (method === "GET" || method === "HEAD") && url === "/healthz";
}
