import type { Duplex } from "node:stream";
import ssh2, { type Client, type ConnectConfig, type ServerHostKeyAlgorithm } from "ssh2";
import { PbError } from "../../model/error.ts";
import { LIMITS, limits } from "./calls.ts";
import type { HostKeys } from "./host-keys.ts";
import type { Login } from "./login.ts";
import { openSession, type SftpSession } from "./session.ts";

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** In errors. */
  readonly peer: string;
  readonly hostKeys: HostKeys;
  readonly login: Login;
}

/** A session on an SSH connection of its own. */
export interface SftpConnection extends SftpSession {
  /** The most bytes of one request, as the server says or as every server takes them. */
  readonly readBytes: number;
  readonly writeBytes: number;
}

/** For the key exchange and the login together; a password check of a busy server takes seconds. */
const READY_TIMEOUT_MS = 30_000;
/** Three without an answer end the connection. */
const KEEPALIVE_MS = 15_000;
/** "All servers SHOULD support packets of at least 34000 bytes" (filexfer-02 section 3), less the head of a request. */
const COMMON_BYTES = 32_768;
/** Larger ones gain nothing and make the first byte wait. */
const MAX_REQUEST_BYTES = 255 * 1024;

/** All that ssh2 can, in its order, but those that are known first. */
const HOST_KEY_TYPES = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
  "ssh-rsa",
] as const satisfies readonly ServerHostKeyAlgorithm[];

/** @throws PbError `unreachable`, `timeout`, `fingerprint_mismatch`, `unauthenticated`, `protocol_violation`, `unsupported` */
export async function connectSftp(options: ConnectOptions): Promise<SftpConnection> {
  const client = new ssh2.Client();
  // Whatever comes between two listeners: an error that nobody hears would end the process.
  client.on("error", () => {});
  const channel = await opened(client, options);
  const session = await openSession(channel, options.peer).catch((error: unknown) => {
    client.end();
    throw error;
  });
  const bounds = session.extensions.has(LIMITS)
    ? await limits(session).catch(() => ({ read: COMMON_BYTES, write: COMMON_BYTES }))
    : { read: COMMON_BYTES, write: COMMON_BYTES };
  const size = (bound: number) => Math.min(bound === 0 ? MAX_REQUEST_BYTES : bound, MAX_REQUEST_BYTES);
  client.on("error", (cause) => session.fail(connectionError(cause, options)));
  client.on("close", () =>
    session.fail(new PbError("connection_lost", "the connection ended", { peer: options.peer })),
  );
  return {
    extensions: session.extensions,
    get load() {
      return session.load;
    },
    get closed() {
      return session.closed;
    },
    request: session.request,
    read: session.read,
    readBytes: size(bounds.read),
    writeBytes: size(bounds.write),
    fail(reason) {
      session.fail(reason);
      client.end();
    },
  };
}

function opened(client: Client, options: ConnectOptions): Promise<Duplex> {
  const { hostKeys, login, peer } = options;
  let refused: PbError | undefined;
  const config: ConnectConfig = {
    host: options.host,
    port: options.port,
    username: login.user,
    authHandler: [...login.methods],
    readyTimeout: READY_TIMEOUT_MS,
    keepaliveInterval: KEEPALIVE_MS,
    algorithms: { serverHostKey: preferred(hostKeys.types) },
    hostVerifier: (key: Buffer, verify: (accept: boolean) => void) => {
      hostKeys.check(key).then(
        () => verify(true),
        (error: unknown) => {
          refused = PbError.from(error, "fingerprint_mismatch", { peer });
          verify(false);
        },
      );
    },
  };
  return new Promise((resolve, reject) => {
    const failed = (cause?: unknown) => {
      client.destroy();
      // Without effect once it is open.
      reject(refused ?? connectionError(cause, options));
    };
    client.once("error", failed);
    client.once("close", () => failed());
    client.once("ready", () => {
      client.setNoDelay(true);
      client.subsys("sftp", (error, channel) => {
        if (error === undefined) {
          resolve(channel);
        } else {
          client.end();
          reject(
            new PbError("unsupported", "this server offers no SFTP to this user", { peer, cause: error }),
          );
        }
      });
    });
    client.connect(config);
  });
}

/** RSA keys are known as "ssh-rsa" whatever signs with them (RFC 8332 section 3). */
function preferred(known: readonly string[]): ServerHostKeyAlgorithm[] {
  const isKnown = (type: string) => known.includes(type.startsWith("rsa-") ? "ssh-rsa" : type);
  return [...HOST_KEY_TYPES.filter(isKnown), ...HOST_KEY_TYPES.filter((type) => !isKnown(type))];
}

function connectionError(cause: unknown, { peer, host, port, login }: ConnectOptions): PbError {
  const level = (cause as { level?: unknown } | undefined)?.level;
  const options = { peer, cause };
  if (level === "client-authentication")
    return new PbError("unauthenticated", `${login.user} could not log in`, {
      ...options,
      hint:
        login.tried === ""
          ? "there is no key, agent or password to log in with"
          : `the server took none of what it was offered (${login.tried}): check these, and the user`,
    });
  if (level === "client-timeout") return new PbError("timeout", `${host}:${port} does not answer`, options);
  if (level === "client-socket")
    return new PbError("unreachable", `${host}:${port} cannot be reached`, options);
  if (level === "handshake")
    return new PbError("unsupported", `${host}:${port} shares no way to encrypt with this program`, options);
  if (level === "protocol")
    return new PbError("protocol_violation", `${host}:${port} does not speak SSH as it should`, options);
  return new PbError("connection_lost", `${host}:${port} ended the connection`, options);
}
