import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";
import type { Fetcher, Intake } from "../fetching.ts";
import { type Control, connected, dial, FtpRefusal, type FtpReply, named } from "./control.ts";

export interface LoginOptions {
  readonly host: string;
  readonly port: number;
  /** In errors. */
  readonly peer: string;
  readonly tls: "explicit" | "implicit" | "off";
  /** Authorities that are trusted instead of the system's, PEM. */
  readonly ca?: string | undefined;
  readonly user: string;
  /** Asked for at each login, and not kept. */
  readonly password: () => Promise<string>;
  /** For data in clear past JavaScript; absent: all passes through it. */
  readonly fetcher?: Fetcher | undefined;
}

/** What the server says it can (RFC 2389), upper case; and what each takes. */
export type Features = ReadonlyMap<string, string>;

export interface Transfer<Data = Socket> {
  /** Encrypted where the control connection is; paused. */
  readonly data: Data;
  /** Once the server is through with it. @throws FtpRefusal, PbError */
  readonly final: Promise<FtpReply>;
}

/** A login, and one transfer at a time. */
export interface FtpConnection {
  readonly control: Control;
  readonly features: Features;
  /** A round trip, measured at login; ms. */
  readonly rttMs: number;
  /** Opens a data connection and sends the command; `before` is sent right before it (REST). @throws FtpRefusal, PbError */
  transfer(command: string, before?: string): Promise<Transfer>;
  /** As `transfer`, of what comes and goes past JavaScript. Absent: nothing may. */
  readonly receive?: ((command: string, before?: string) => Promise<Transfer<Intake>>) | undefined;
  /** Asks for the port of the next transfer along with what is sent just now, which saves that one a round trip. Does not reject. */
  prepare(): Promise<void>;
  close(): void;
}

/** @throws PbError `unauthenticated`, `unreachable`, `timeout`, `fingerprint_mismatch`, `unsupported` */
export async function login(options: LoginOptions): Promise<FtpConnection> {
  const { host, port, peer, tls } = options;
  const secure: ConnectionOptions = options.ca === undefined ? {} : { ca: options.ca };
  const control = await dial({ host, port, peer, implicit: tls === "implicit" ? secure : undefined });
  try {
    if (tls === "explicit") await upgrade(control, secure, options);
    await identify(control, options);
    const begun = performance.now();
    const features = await readFeatures(control);
    const rttMs = performance.now() - begun;
    const wishes = ["TYPE I", ...(tls === "off" ? [] : ["PBSZ 0", "PROT P"])].map((each) =>
      control.send(each),
    );
    // Names are bytes here; some servers take them for another alphabet unless asked for this one.
    if (features.has("UTF8")) control.send("OPTS UTF8 ON").catch(() => {});
    await Promise.all(wishes);
    const ports = createPorts(control);
    // A server may ask for the session of the control connection, which is Node's.
    const fetcher = tls === "off" ? options.fetcher : undefined;
    const close = () => control.fail(new PbError("aborted", "the connection was closed", { peer }));
    return {
      control,
      features,
      rttMs,
      transfer: async (command, before) =>
        transfer(control, { command, before }, throughNode(control, await ports.take(), options)),
      ...(fetcher && {
        receive: async (command, before) =>
          transfer(control, { command, before }, pastNode(control, await ports.take(), options, fetcher)),
      }),
      prepare: ports.prepare,
      close,
    };
  } catch (error) {
    control.fail(new PbError("connection_lost", "the connection was given up", { peer }));
    throw error;
  }
}

/** Never goes on in clear where TLS was asked for. */
async function upgrade(control: Control, secure: ConnectionOptions, { peer }: LoginOptions): Promise<void> {
  try {
    await control.send("AUTH TLS");
  } catch (error) {
    if (!(error instanceof FtpRefusal)) throw error;
    throw new PbError("unsupported", "this server offers no TLS, and nothing is sent to it in clear", {
      peer,
      cause: error,
      hint: 'tls = "off" in the remote would send the password readable by all on the way',
    });
  }
  await control.secure(secure);
}

async function identify(control: Control, { peer, user, password }: LoginOptions): Promise<void> {
  try {
    const asked = await control.send(`USER ${wire(user)}`);
    if (asked.code === 331) await control.send(`PASS ${wire(await password())}`);
    else if (asked.code >= 300)
      throw new PbError("unauthenticated", "this server asks for an account", { peer });
  } catch (error) {
    if (!(error instanceof FtpRefusal)) throw error;
    // 421: too many at once, which says nothing of the password.
    const code = error.code === 421 ? "resource_exhausted" : "unauthenticated";
    const hint = code === "unauthenticated" ? "check the remote's user and password" : undefined;
    throw new PbError(code, `${user} could not log in: ${displayPath(error.said)}`, {
      peer,
      hint,
      cause: error,
    });
  }
}

const wire = (text: string) => Buffer.from(text, "utf8").toString("latin1");

async function readFeatures(control: Control): Promise<Features> {
  const reply = await control.send("FEAT").catch((error: unknown) => {
    if (error instanceof FtpRefusal) return undefined;
    throw error;
  });
  const lines = reply?.lines.slice(1, -1) ?? [];
  return new Map(
    lines.map((line) => {
      const [, name = "", takes = ""] = /^\s*(\S+)\s*(.*)$/.exec(line) ?? [];
      return [name.toUpperCase(), takes];
    }),
  );
}

/** A data connection that is on its way. */
interface Line<Data> {
  /** In clear. */
  readonly connected: Promise<unknown>;
  /** Once the server is ready, too. */
  ready(): Promise<Data>;
  end(): void;
}

/** The host is that of the control connection: see `passivePort`. */
const hostOf = (control: Control, { host }: LoginOptions) => control.socket.remoteAddress ?? host;

function throughNode(control: Control, port: number, options: LoginOptions): Line<Socket> {
  const plain = connectTcp({ host: hostOf(control, options), port });
  return {
    // Below TLS it fails as well as above.
    connected: connected(plain, "connect", options).then(() => plain.on("error", () => {})),
    async ready() {
      const data = encrypted(plain, control, options);
      // Also for a file without content: a server takes an end before the handshake for a failure.
      if (data !== plain) await connected(data, "secureConnect", options);
      data.pause();
      // Whoever uses it listens; until then an error must not end the process.
      return data.on("error", () => {});
    },
    end: () => plain.destroy(),
  };
}

function pastNode(control: Control, port: number, options: LoginOptions, fetcher: Fetcher): Line<Intake> {
  const data = fetcher.receive({ host: hostOf(control, options), port });
  return { connected: data.connected, ready: async () => data, end: () => data.close() };
}

async function transfer<Data>(
  control: Control,
  { command, before }: { readonly command: string; readonly before: string | undefined },
  line: Line<Data>,
): Promise<Transfer<Data>> {
  line.connected.catch(() => {});
  try {
    // The server waits with the command for the connection: so both are on the way at once.
    const rest = before === undefined ? undefined : control.send(before);
    rest?.catch(() => {});
    const { first, final } = control.exchange(command);
    await line.connected.catch(async (error: unknown) => {
      // Who refuses the command listens no longer.
      throw await reason(first, error);
    });
    await rest;
    await first;
    return { data: await line.ready(), final };
  } catch (error) {
    line.end();
    throw error;
  }
}

const REASON_MS = 500;

/** The server's own words where it has any: "disk full" says more than "connection lost". */
export async function reason(reply: Promise<unknown>, error: unknown): Promise<unknown> {
  const said = reply.then(
    () => error,
    (refusal: unknown) => (refusal instanceof FtpRefusal ? refusal : error),
  );
  const late = new Promise((resolve) => setTimeout(resolve, REASON_MS, error).unref());
  return Promise.race([said, late]);
}

/** With the control connection's session: a server can tell by it that it is the same client (vsftpd's require_ssl_reuse). */
function encrypted(plain: Socket, control: Control, { host }: LoginOptions): Socket {
  const { tls } = control;
  if (tls === undefined) return plain;
  return connectTls({
    ...named(tls.options, host),
    socket: plain,
    ...(tls.session === undefined ? {} : { session: tls.session }),
  });
}

/** A port that was asked for ahead is not used after this: what lies on the way keeps no hole open for long. */
const PREPARED_MS = 2_000;

function createPorts(control: Control) {
  let next: { readonly port: Promise<number>; readonly until: number } | undefined;
  return {
    async take(): Promise<number> {
      const prepared = next;
      next = undefined;
      return prepared && performance.now() < prepared.until ? prepared.port : passivePort(control);
    },
    async prepare(): Promise<void> {
      const mine = { port: passivePort(control), until: performance.now() + PREPARED_MS };
      next = mine;
      await mine.port.catch(() => {
        if (next === mine) next = undefined;
      });
    },
  };
}

/**
 * Where the data connection goes: the host is always that of the control connection, and an address in the reply is not read. A server
 * could otherwise send a client, and what it uploads, to anybody (T16).
 */
async function passivePort(control: Control): Promise<number> {
  try {
    const extended = await control.send("EPSV");
    const port = Number(/\(([!-~])\1\1(\d{1,5})\1\)/.exec(extended.lines.join(" "))?.[2] ?? 0);
    if (port > 0 && port < 65_536) return port;
  } catch (error) {
    // Older than RFC 2428.
    if (!(error instanceof FtpRefusal)) throw error;
  }
  const passive = await control.send("PASV");
  const [, high, low] = /\d+,\d+,\d+,\d+,(\d+),(\d+)/.exec(passive.lines.join(" ")) ?? [];
  const port = Number(high) * 256 + Number(low);
  if (Number(low) < 256 && port > 0 && port < 65_536) return port;
  throw new PbError("protocol_violation", "the server names no port for data");
}
