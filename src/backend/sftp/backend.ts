import { userInfo } from "node:os";
import { join } from "node:path";
import type { EndpointConfig } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import { pathBytes, pathText } from "../../model/path.ts";
import type { Backend } from "../backend.ts";
import type { EndpointTools, OpenEndpoint } from "../registry.ts";
import { either } from "../signals.ts";
import { walkLinked } from "../wrap/linked-walk.ts";
import { POSIX_RENAME, realPath } from "./calls.ts";
import { createChunks } from "./chunks.ts";
import { type ConnectOptions, connectSftp, type SftpConnection } from "./connect.ts";
import { sftpError } from "./errors.ts";
import { createFiles } from "./files.ts";
import type { Ground } from "./ground.ts";
import { loadHostKeys, usualFiles } from "./host-keys.ts";
import { NO_LINKS } from "./links.ts";
import { findLogin, type Login, type LoginOptions, stringOf } from "./login.ts";
import { createPool } from "./pool.ts";
import { createResolver, type Resolver } from "./resolve.ts";

const DEFAULT_PORT = 22;
/** As many as a server with usual bounds (sshd's MaxStartups 10:30:100) takes from one user without complaint. */
const MAX_CONNECTIONS = 4;

/**
 * Files of a server with SSH. Connects with the first call: what the server can do is known only then.
 *
 * `settings.path` is the root; relative, or with `~/`, it is below the login folder; without it the root is the server's "/",
 * and links lead where they lead.
 */
export const openSftp: OpenEndpoint = async (config, tools) => {
  const options = await connectOptions(config, tools);
  // What is wrong with it is told now, not by a call that it would look like an answer to.
  let login: Promise<Login> | undefined = findLogin(options.loggingIn);
  await login;
  const path = stringOf(config.settings.path) ?? "/";
  let known: Learned | undefined;
  const connect = async () => {
    const current = login ?? findLogin(options.loggingIn);
    // The next connection asks anew: secrets may be others by then.
    login = undefined;
    const connection = await connectSftp({ ...options, login: await current });
    try {
      known ??= await learn(connection, { path, peer: tools.name });
      return connection;
    } catch (error) {
      connection.fail(new PbError("aborted", "the connection was given up", { peer: tools.name }));
      throw sftpError(error, { path: "", peer: tools.name });
    }
  };
  const pool = createPool({ connect, max: MAX_CONNECTIONS });
  const renew = () => {
    login = undefined;
    pool.renew();
  };
  const unwatch = config.watch?.({ rotated: renew, withdrawn: renew });
  return backendOf({ peer: tools.name, pool, learned: () => known, unwatch });
};

/** What the first connection has told. */
interface Learned {
  readonly resolver: Resolver;
  readonly replaces: boolean;
}

async function learn(
  first: SftpConnection,
  { path, peer }: { readonly path: string; readonly peer: string },
): Promise<Learned> {
  const asked = path.replace(/^~\/?/, "") || ".";
  const { signal } = new AbortController();
  const root = pathText(await realPath(first, pathBytes(asked), signal)).replace(/\/+$/, "");
  if (root !== "" && !root.startsWith("/"))
    throw new PbError("protocol_violation", "the server names no absolute path", { path, peer });
  return { resolver: createResolver(root), replaces: first.extensions.has(POSIX_RENAME) };
}

interface Options extends Omit<ConnectOptions, "login"> {
  readonly loggingIn: LoginOptions;
}

async function connectOptions(config: EndpointConfig, tools: EndpointTools): Promise<Options> {
  const { settings } = config;
  const host = stringOf(settings.host);
  if (host === undefined)
    throw new PbError("invalid_argument", "host: name the server", { peer: tools.name });
  const port = typeof settings.port === "number" ? settings.port : DEFAULT_PORT;
  const home = tools.env.HOME ?? userInfo().homedir;
  const files = stringOf(settings.known_hosts);
  const hostKeys = await loadHostKeys({
    host,
    port,
    peer: tools.name,
    pinned: stringOf(settings.host_key) ?? "",
    files: files === undefined ? usualFiles(home) : [files.replace(/^~(?=\/)/, home)],
    own: join(tools.home, "known_hosts"),
  });
  const loggingIn = { config, peer: tools.name, home, env: tools.env };
  return { host, port, peer: tools.name, hostKeys, loggingIn };
}

interface Shared extends Pick<Ground, "pool" | "peer"> {
  readonly learned: () => Learned | undefined;
  readonly unwatch: (() => void) | undefined;
}

function backendOf({ pool, peer, learned, unwatch }: Shared): Backend {
  const closing = new AbortController();
  // Within a call there is a connection, and with it what it has told.
  const facts = (): Learned => {
    const known = learned();
    if (known === undefined) throw new PbError("internal", "asked before there was a connection", { peer });
    return known;
  };
  const ground: Ground = {
    pool,
    peer,
    closing: closing.signal,
    get resolver() {
      return facts().resolver;
    },
    get replaces() {
      return facts().replaces;
    },
  };
  const { reader, ...files } = createFiles(ground);
  const close = async () => {
    closing.abort();
    unwatch?.();
    ground.pool.close();
  };
  return {
    scheme: "sftp",
    name: ground.peer,
    capabilities: {
      atomicRename: true,
      get links() {
        return learned()?.replaces !== false || NO_LINKS;
      },
      permissions: true,
      owners: false,
      mtimeResolutionNs: 1_000_000_000,
      serverSideCopy: false,
      writable: true,
      parallelRead: true,
      parallelWrite: true,
      resumeWrite: true,
      get atomicReplace() {
        // Most servers can; which one this is, its first connection tells.
        if (learned()?.replaces !== false) return true;
        return "this server cannot replace a file by renaming (posix-rename@openssh.com)";
      },
      hashes: "SFTP has no hashes of files",
      setMtime: true,
      append: true,
      folders: true,
      watch: "SFTP does not tell of changes",
    },
    async *list(path, options) {
      using signals = either(options.signal, closing.signal);
      yield* walkLinked(reader, path, { ...options, signal: signals.signal });
    },
    ...files,
    native: { kind: "chunks", chunks: createChunks(ground) },
    close,
    [Symbol.asyncDispose]: close,
  };
}
