/** Data sessions to a server: opened over the authenticated connection, then native from end to end. */

import { randomBytes } from "node:crypto";
import { type Client, createClient } from "@connectrpc/connect";
import { AdminService } from "../../gen/packetboat/v1/admin_pb.ts";
import { type OpenResponse, SessionService } from "../../gen/packetboat/v1/session_pb.ts";
import { PbError } from "../../model/error.ts";
import { pathBytes } from "../../model/path.ts";
import { type PathHistory, pathKey } from "../../native/path-memory.ts";
import type { NativeEngine, NativeSession, PathMemory, SessionKeys } from "../../native/types.ts";
import { fromPeerError } from "../../wire/connect.ts";
import { optionsToWire } from "../../wire/options.ts";
import type { OpenSessionOptions, PeerSession, SessionPeer } from "../backend.ts";
import type { Found, PbConnection } from "./connection.ts";
import { peerJobs } from "./jobs.ts";

/** Of docs/PROTOCOL.md. */
export const PROTOCOL_VERSION = 3;
/** Bytes that each side gives to a session's keys. */
export const RANDOM_BYTES = 32;
/** AEAD suites by their number on the wire: AES-128-GCM, then ChaCha20-Poly1305. */
export const SUITES: readonly number[] = [1, 2];
/** A server that does not answer a close in this time closes the idle session itself. */
const CLOSE_MS = 5_000;

type Sessions = Client<typeof SessionService>;

export interface SessionPeerOptions {
  readonly connection: PbConnection;
  readonly engine: Pick<NativeEngine, "connect">;
  /** Of what this machine sends. Absent: every session begins from nothing. */
  readonly history?: PathHistory;
}

export function createSessionPeer({ connection, engine, history }: SessionPeerOptions): SessionPeer {
  const name = connection.peer;
  const client = createClient(SessionService, connection.transport);
  const admin = createClient(AdminService, connection.transport);
  return {
    name,
    async hostId(signal) {
      try {
        return (await admin.info({}, { signal })).hostId;
      } catch (error) {
        throw fromPeerError(error, { peer: name, signal });
      }
    },
    ...peerJobs(connection),
    async openSession(options) {
      refuseAborted(options.signal);
      const clientRandom = randomBytes(RANDOM_BYTES);
      const opened = await open(client, { name, options, clientRandom });
      const connected = joinLanes({ connection, engine, options, opened, clientRandom, history });
      // Whoever waits for it may come later.
      connected.catch(() => undefined);
      return peerSession({ client, connection, opened, options, connected });
    },
    copy({ sources, destination, several, move, dryRun, jobId, resume, options, signal }) {
      const request = {
        sources: sources.map(at),
        destination: at(destination),
        options: optionsToWire(options),
        several,
        move,
        dryRun,
        jobId,
        resume,
      };
      return named(client.copy(request, { signal }), { name, signal });
    },
  };
}

function pathTo(peer: string, { host, local }: Found): string {
  return pathKey(peer, { remote: host, local });
}

/** A path at the peer. */
function at(path: string) {
  return { remote: "", path: pathBytes(path) };
}

interface Opening {
  readonly name: string;
  readonly options: OpenSessionOptions;
  readonly clientRandom: Uint8Array<ArrayBuffer>;
}

async function open(client: Sessions, { name, options, clientRandom }: Opening): Promise<OpenResponse> {
  const {
    seal,
    lanes,
    allLanes = false,
    memoryBytes,
    chunkBytes,
    limitBytesPerSecond,
    controller,
    signal,
  } = options;
  try {
    const opened = await client.open(
      {
        protocolVersion: PROTOCOL_VERSION,
        clientRandom,
        sealOff: !seal,
        lanes,
        allLanes,
        memoryBytes: BigInt(memoryBytes),
        chunkBytes,
        limitBytesPerSecond: BigInt(limitBytesPerSecond),
        controller,
        suites: [...SUITES],
      },
      { signal },
    );
    demandSound(opened, name);
    return opened;
  } catch (error) {
    throw fromPeerError(error, { peer: name, signal });
  }
}

function demandSound({ serverRandom, suite, lanes }: OpenResponse, peer: string): void {
  if (serverRandom.length === RANDOM_BYTES && SUITES.includes(suite) && lanes >= 1) return;
  throw new PbError("protocol_violation", `${peer} opened a session that makes no sense`, { peer });
}

interface Joining {
  readonly connection: PbConnection;
  readonly engine: SessionPeerOptions["engine"];
  readonly history: PathHistory | undefined;
  readonly options: OpenSessionOptions;
  readonly opened: OpenResponse;
  readonly clientRandom: Uint8Array;
}

/** This end of a session, and what leaves behind what its lanes have learned of the path. */
interface Joined {
  readonly session: NativeSession;
  readonly learn: () => Promise<void>;
}

async function joinLanes(given: Joining): Promise<Joined> {
  const { connection, history } = given;
  const name = connection.peer;
  try {
    const path = pathTo(name, await connection.endpoint());
    const remembered = await history?.recall(path);
    const session = await connect({ ...given, remembered });
    return { session, learn: async () => history?.learn(path, session.samples()) };
  } catch (error) {
    throw PbError.from(error, "internal", { peer: name });
  }
}

async function connect(
  given: Joining & { readonly remembered: PathMemory | undefined },
): Promise<NativeSession> {
  const { connection, engine, options, opened, clientRandom, remembered } = given;
  const { seal, lanes, memoryBytes, limitBytesPerSecond, controller, transport, signal } = options;
  const { allLanes, trace } = options;
  const { connectionId, serverRandom, suite } = opened;
  const keys: SessionKeys = { connectionId, clientRandom, serverRandom, suite };
  const { host, port } = await connection.endpoint();
  const allowed = {
    seal,
    lanes: Math.min(lanes, opened.lanes),
    memoryBytes,
    limitBytesPerSecond,
    controller,
    remembered,
    ...(allLanes === undefined ? {} : { allLanes }),
    ...(trace === undefined ? {} : { trace }),
  };
  return engine.connect({ ...allowed, host, port, keys, transport }, signal);
}

interface Opened {
  readonly client: Sessions;
  readonly connection: PbConnection;
  readonly opened: OpenResponse;
  readonly options: OpenSessionOptions;
  readonly connected: Promise<Joined>;
}

function peerSession(given: Opened): PeerSession {
  const { client, connection, connected } = given;
  const { connectionId } = given.opened;
  const name = connection.peer;
  let closing: Promise<void> | undefined;
  const session = connected.then((joined) => joined.session);
  session.catch(() => undefined);
  const opened: PeerSession = {
    connected: session,
    connectionId,
    lanes: Math.min(given.options.lanes, given.opened.lanes),
    receive({ job, destination, exactName, jobId, resume, move, options, signal }) {
      const request = { connectionId, job, destination: at(destination), exactName, jobId, resume, move };
      const events = client.receive({ ...request, options: optionsToWire(options) }, { signal });
      return named(events, { name, signal });
    },
    send({ job, sources, several, intoExisting, move, options, signal }) {
      const request = { connectionId, job, sources: sources.map(at), several, intoExisting, move };
      const events = client.send({ ...request, options: optionsToWire(options) }, { signal });
      return named(events, { name, signal });
    },
    close({ finished = "" } = {}) {
      closing ??= closeBoth(given, finished);
      return closing;
    },
    [Symbol.asyncDispose]: () => opened.close(),
  };
  return opened;
}

/** The lanes say CLOSE, the call says it again and of which job: neither is answered in time that anybody has to wait for. */
async function closeBoth(
  { client, connection, opened, connected }: Opened,
  finishedJobId: string,
): Promise<void> {
  const { connectionId } = opened;
  const joined = await connected.catch(() => undefined);
  const sayClose = async () => {
    try {
      await client.close({ connectionId, finishedJobId }, { timeoutMs: CLOSE_MS });
    } finally {
      // Answered or not: nobody is there any more to whom something should still arrive.
      joined?.session.abandon();
    }
  };
  await Promise.allSettled([
    joined?.learn(),
    joined?.session.close(),
    // A server that is gone has closed it too.
    connection.lastWord(sayClose),
  ]);
}

/** The events of a call; its failure as a `PbError` that names the peer. */
async function* named<T>(
  events: AsyncIterable<T>,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal },
): AsyncGenerator<T> {
  refuseAborted(signal);
  try {
    yield* events;
  } catch (error) {
    throw fromPeerError(error, { peer: name, signal });
  }
}

/** As `fromPeerError` afterwards: the error that a job was given up for is the signal's reason, and must reach its caller. */
function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw PbError.from(signal.reason, "aborted");
}
