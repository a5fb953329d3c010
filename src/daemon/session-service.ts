/** The server's side of data sessions: opening them, and the far half of every job. */

import { randomBytes } from "node:crypto";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { PROTOCOL_VERSION, RANDOM_BYTES, SUITES } from "../backend/pb/session.ts";
import type {
  CopyRequest,
  JobEvent,
  OpenRequest,
  ReceiveRequest,
  SendRequest,
  SessionService,
} from "../gen/packetboat/v1/session_pb.ts";
import type { StartResponse } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import { type PathHistory, pathKey } from "../native/path-memory.ts";
import type { NativeEngine, NativeListener } from "../native/types.ts";
import { controllerOf, MAX_LANES } from "../wire/options.ts";
import { callerOf } from "./caller.ts";
import { farCopy, farReceive, farSend } from "./far-jobs.ts";
import type { Keeper } from "./kept/keeper.ts";
import { goneSignal, peerKey } from "./peer.ts";
import type { Places } from "./places.ts";
import { Sessions } from "./sessions.ts";

export interface SessionServiceOptions {
  readonly version: string;
  readonly places: Places;
  readonly listener: Pick<NativeListener, "register">;
  readonly engine: NativeEngine;
  /** Buffers of one session; a client may ask for less. */
  readonly memoryBytes: number;
  /** Tells when a client is revoked; see LiveClients. */
  readonly track: (clientId: string, end: () => void) => () => void;
  /** Absent: nothing is kept of jobs. */
  readonly keeper?: Keeper;
  /** Of what this server sends. Absent: every session begins from nothing. */
  readonly history?: PathHistory;
}

export interface SessionHost extends AsyncDisposable {
  readonly service: ServiceImpl<typeof SessionService>;
  /** Idempotent. Ends all. */
  close(): Promise<void>;
}

export function createSessionService(options: SessionServiceOptions): SessionHost {
  const sessions = new Sessions(options);
  const deps = { sessions, places: options.places, engine: options.engine, keeper: options.keeper };
  const close = () => sessions.closeAll();
  return {
    service: {
      open: (request, context) => open(options, sessions, { request, context }),
      receive: (request: ReceiveRequest, context: HandlerContext): AsyncIterable<JobEvent> =>
        farReceive(deps, request, context),
      send: (request: SendRequest, context: HandlerContext): AsyncIterable<JobEvent> =>
        farSend(deps, request, context),
      copy: (request: CopyRequest, context: HandlerContext): AsyncIterable<StartResponse> =>
        farCopy(deps, request, context),
      async close({ connectionId, finishedJobId }, context) {
        const caller = callerOf(context);
        await sessions.close(caller, connectionId);
        if (finishedJobId !== "") await options.keeper?.discard(caller, finishedJobId);
        return {};
      },
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function open(
  options: SessionServiceOptions,
  sessions: Sessions,
  { request, context }: { readonly request: OpenRequest; readonly context: HandlerContext },
) {
  const caller = callerOf(context);
  const path = pathFrom(caller, context);
  const remembered = await options.history?.recall(path);
  demandProtocol(request);
  const suite = chooseSuite(request);
  const lanes = Math.min(Math.max(1, request.lanes), MAX_LANES);
  const { controller, limitBytesPerSecond } = optionsOf(request);
  const memoryBytes = sessions.grantMemory(caller, Number(request.memoryBytes) || options.memoryBytes);
  const connectionId = freshId(sessions);
  const serverRandom = randomBytes(RANDOM_BYTES);
  const session = options.listener.register({
    seal: !request.sealOff,
    lanes,
    allLanes: request.allLanes,
    memoryBytes,
    limitBytesPerSecond,
    controller,
    remembered,
    keys: { connectionId, clientRandom: request.clientRandom, serverRandom, suite },
  });
  const beforeEnd = async () => options.history?.learn(path, session.samples());
  const peer = context.values.get(peerKey);
  sessions.add(caller, {
    connectionId,
    session,
    memoryBytes,
    beforeEnd,
    ...(peer && { gone: goneSignal(peer) }),
  });
  return {
    connectionId,
    serverRandom,
    suite,
    lanes,
    memoryBytes: BigInt(memoryBytes),
    serverVersion: options.version,
  };
}

/** The path to a client, as its calls come in. */
function pathFrom({ clientId }: Caller, { values }: HandlerContext): string {
  const peer = values.get(peerKey);
  return pathKey(clientId, { remote: peer?.address ?? "", local: peer?.socket.localAddress ?? "" });
}

function demandProtocol({ protocolVersion, clientRandom }: OpenRequest): void {
  if (protocolVersion !== PROTOCOL_VERSION) {
    throw new PbError(
      "unsupported",
      `this server speaks protocol ${PROTOCOL_VERSION}, not ${protocolVersion}`,
      {
        hint: "install the same version of pb on both sides",
      },
    );
  }
  if (clientRandom.length !== RANDOM_BYTES) {
    throw new PbError(
      "invalid_argument",
      `client_random has ${clientRandom.length} bytes, not ${RANDOM_BYTES}`,
    );
  }
}

function chooseSuite({ suites }: OpenRequest): number {
  const suite = suites.find((each) => SUITES.includes(each));
  if (suite !== undefined) return suite;
  throw new PbError("unsupported", "no AEAD suite that both sides have");
}

/** The bounds of transfer options hold here too. */
function optionsOf({ controller, limitBytesPerSecond }: OpenRequest) {
  if (limitBytesPerSecond > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new PbError("invalid_argument", `limit: ${limitBytesPerSecond} is too large`);
  }
  return { controller: controllerOf(controller), limitBytesPerSecond: Number(limitBytesPerSecond) };
}

/** Unguessable, so that a datagram for no session costs nothing; never 0. */
function freshId(sessions: Sessions): bigint {
  for (;;) {
    const id = randomBytes(8).readBigUInt64BE();
    if (id !== 0n && !sessions.has(id)) return id;
  }
}
