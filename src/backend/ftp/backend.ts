import type { EndpointConfig, Setting } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import type { Backend } from "../backend.ts";
import type { EndpointTools, OpenEndpoint } from "../registry.ts";
import { authoritiesOf } from "../settings.ts";
import { either } from "../signals.ts";
import { walkLinked } from "../wrap/linked-walk.ts";
import { setTime } from "./calls.ts";
import { type Features, type FtpConnection, type LoginOptions, login } from "./connection.ts";
import { NOT_CONTINUED } from "./continuing.ts";
import { createFiles } from "./files.ts";
import { ftpError, type Ground, onGround, wireName, wirePath } from "./ground.ts";
import { createPool } from "./pool.ts";
import { openSink, writeWhole } from "./sink.ts";
import { openSource, readWhole } from "./source.ts";

const PORT = { explicit: 21, off: 21, implicit: 990 } as const;
/** Each carries one transfer. The number of calls at once begins with eight and climbs where more bring more; servers that bear no more of one user (vsftpd's
 * max_per_ip, pure-ftpd's 8) refuse the others, which then wait. */
const MAX_CONNECTIONS = 16;
/** Of the eight that most servers bear. The other is for questions and for files that are small: for those an upload would be broken off, and gone on with later or
 * written anew. */
const MAX_FILES = 7;

/** As patient as control.ts is. */
const FETCHING = { connectMs: 15_000, headMs: 120_000, bodyMs: 120_000, idle: 0 };

/**
 * Files of a server with FTP. Connects with the first call: what the server can do is known only then.
 *
 * `settings.path` is the root; relative, or not given, it begins at the folder in which the login ends (RFC 1738).
 */
export const openFtp: OpenEndpoint = async (config, tools) => {
  const options = await loginOptions(config, tools);
  const path = stringOf(config.settings.path) ?? "";
  // What is wrong with it is known without a server.
  wireName(path, path);
  let known: Learned | undefined;
  const first = async () => {
    const connection = await login(options);
    try {
      known ??= { root: await rootOf(connection, path), features: connection.features };
      return connection;
    } catch (error) {
      connection.close();
      throw ftpError(error, { path: "", peer: tools.name });
    }
  };
  const pool = createPool({ login: first, max: MAX_CONNECTIONS });
  const unwatch = config.watch?.({ rotated: pool.renew, withdrawn: pool.renew });
  return backendOf({ peer: tools.name, pool, learned: () => known, unwatch, fetcher: options.fetcher });
};

/** What the first connection has told. */
interface Learned {
  readonly root: string;
  readonly features: Features;
}

async function loginOptions(config: EndpointConfig, tools: EndpointTools): Promise<LoginOptions> {
  const { settings, secret } = config;
  const host = stringOf(settings.host);
  if (host === undefined)
    throw new PbError("invalid_argument", "host: name the server", { peer: tools.name });
  const tls = stringOf(settings.tls) ?? "explicit";
  if (tls !== "explicit" && tls !== "implicit" && tls !== "off")
    throw new PbError("invalid_argument", `tls: "${tls}" is neither explicit, implicit nor off`, {
      peer: tools.name,
    });
  return {
    host,
    port: typeof settings.port === "number" ? settings.port : PORT[tls],
    peer: tools.name,
    tls,
    ca: await authoritiesOf(config, tools.name),
    user: stringOf(settings.user) ?? "anonymous",
    fetcher: tls === "off" ? tools.openFetcher?.(FETCHING) : undefined,
    // Public servers ask for something that looks like an address.
    password: async () => (await secret("password"))?.reveal() ?? "anonymous@",
  };
}

/** As the server's absolute path, latin1, "" for "/". */
async function rootOf({ control }: FtpConnection, path: string): Promise<string> {
  const wanted = wireName(path.replace(/^~\/?/, ""), path);
  if (wanted.startsWith("/")) return wanted.replace(/\/+$/, "");
  const home = /"(.*)"/s.exec((await control.send("PWD")).lines[0] ?? "")?.[1]?.replaceAll('""', '"') ?? "/";
  return `${home.replace(/\/+$/, "")}/${wanted}`.replace(/\/+$/, "");
}

interface Shared extends Pick<Ground, "pool" | "peer">, Pick<LoginOptions, "fetcher"> {
  readonly learned: () => Learned | undefined;
  readonly unwatch: (() => void) | undefined;
}

function backendOf({ pool, peer, learned, unwatch, fetcher }: Shared): Backend {
  const closing = new AbortController();
  /** Until a connection has told otherwise, a server is taken for one that can. */
  const has = (...features: string[]) => {
    const known = learned();
    return known === undefined || features.some((each) => known.features.has(each));
  };
  const ground: Ground = {
    pool,
    peer,
    times: { refused: false },
    uploads: { continued: undefined, again: Promise.resolve() },
    closing: closing.signal,
    get root() {
      const known = learned();
      // Within a call there is a connection, and with it what it has told.
      if (known === undefined) throw new PbError("internal", "asked before there was a connection", { peer });
      return known.root;
    },
  };
  const { reader, ...files } = createFiles(ground);
  const close = async () => {
    closing.abort();
    unwatch?.();
    ground.pool.close();
    fetcher?.close();
  };
  return {
    scheme: "ftp",
    name: ground.peer,
    capabilities: {
      atomicRename: false,
      links: "FTP has no command that makes a link",
      permissions: false,
      owners: false,
      mtimeResolutionNs: 1_000_000_000,
      serverSideCopy: false,
      writable: true,
      parallelRead: true,
      parallelWrite: "FTP writes a file from its beginning to its end",
      get resumeWrite() {
        if (ground.uploads.continued === false) return NOT_CONTINUED;
        return has("SIZE") || "this server does not tell how much of a file it has (SIZE)";
      },
      atomicReplace: "how a name that is taken is replaced is the FTP server's own affair",
      hashes: "FTP has no hashes that all servers know",
      get setMtime() {
        return has("MFMT", "MDTM") && !ground.times.refused ? true : "this FTP server sets no times of files";
      },
      append: true,
      folders: true,
      watch: "FTP does not tell of changes",
    },
    async *list(path, options) {
      using signals = either(options.signal, closing.signal);
      yield* walkLinked(reader, path, { ...options, signal: signals.signal });
    },
    ...files,
    native: {
      kind: "chunks",
      chunks: {
        maxCalls: MAX_CONNECTIONS,
        maxFiles: MAX_FILES,
        open: async (path, options) => openSource(ground, path, options),
        readWhole: async (path, into, options) => readWhole(ground, path, { ...options, into }),
        create: async (path, options) => openSink(ground, path, options),
        writeWhole: async (path, bytes, options) => writeWhole(ground, path, { ...options, bytes }),
        setFolder: async (path, { meta, signal }) => {
          // Servers that do not set the time of a folder are many: it is no failure.
          await onGround(ground, { path, signal }, ({ connection }) =>
            setTime(connection, wirePath(ground, path), meta.mtimeNs),
          );
        },
      },
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function stringOf(setting: Setting | undefined): string | undefined {
  return typeof setting === "string" && setting !== "" ? setting : undefined;
}
