import { PbError } from "../../model/error.ts";
import { displayPath, pathBytes } from "../../model/path.ts";
import { componentsBelow, type NameBounds } from "../path.ts";
import { either, refuseAborted, unlessAborted } from "../signals.ts";
import type { FtpConnection } from "./connection.ts";
import { type Control, FtpRefusal } from "./control.ts";
import type { FtpPool, Lease } from "./pool.ts";

/** What all calls of one backend share. */
export interface Ground {
  readonly pool: FtpPool;
  /** Of the server, bytes as latin1 text, without '/' at the end: "" for "/". Known once there was a connection: within `onGround`. */
  readonly root: string;
  /** In errors. */
  readonly peer: string;
  /** Whether the server sets the times of files: without MFMT, only trying tells. */
  readonly times: { refused: boolean };
  readonly uploads: {
    /** Whether the server adds to what it has; undefined: nobody has tried. */
    continued: boolean | undefined;
    /** The last one of those that write again what they had written. */
    again: Promise<void>;
  };
  /** Aborted by `Backend.close`. */
  readonly closing: AbortSignal;
}

export const BOUNDS: NameBounds = { componentBytes: 255, pathBytes: 4_095, anyBytes: true };

/** A path of the contract as the server's. @throws PbError `path_escapes`, `invalid_path` */
export function wirePath(ground: Pick<Ground, "root">, path: string): string {
  const components = componentsBelow(path, BOUNDS).map((name) => wireName(name, path));
  return components.length === 0 ? ground.root || "/" : `${ground.root}/${components.join("/")}`;
}

/** @throws PbError `invalid_path` for what the protocol cannot say */
export function wireName(name: string, path: string): string {
  const bytes = Buffer.from(pathBytes(name)).toString("latin1");
  if (/[\r\n]/.test(bytes))
    throw new PbError("invalid_path", "FTP ends a command at a line break: no name can hold one", { path });
  if (bytes.includes("\u00ff"))
    throw new PbError(
      "invalid_path",
      "a name with the byte 0xFF: in FTP it is a command of Telnet, and servers differ in it",
      {
        path,
      },
    );
  return bytes;
}

/** What a call works with. */
export interface Call {
  readonly connection: FtpConnection;
  readonly control: Control;
  readonly signal: AbortSignal;
  /** The call's own, to keep beyond it. */
  readonly lease: Lease;
}

/** Ends the connection's use: the state of its commands is not known. */
const BREAKS = new Set(["aborted", "connection_lost", "timeout", "protocol_violation"]);

/** One call on a connection of its own, with errors that name the path. With `keep` the connection stays the caller's where all went well. */
export async function onGround<T>(
  ground: Ground,
  {
    path,
    signal: caller,
    keep = false,
  }: { readonly path: string; readonly signal: AbortSignal; readonly keep?: boolean },
  run: (call: Call) => Promise<T>,
): Promise<T> {
  using signals = either(caller, ground.closing);
  const { signal } = signals;
  try {
    refuseAborted(signal);
    const lease = await ground.pool.lease(signal);
    return await onLease(lease, { signal, keep }, run);
  } catch (error) {
    throw ftpError(error, { path, peer: ground.peer });
  }
}

/** The same on a connection that is there. */
export async function onLease<T>(
  lease: Lease,
  { signal, keep }: { readonly signal: AbortSignal; readonly keep: boolean },
  run: (call: Call) => Promise<T>,
): Promise<T> {
  const { connection } = lease;
  try {
    const result = await unlessAborted(
      run({ connection, control: connection.control, signal, lease }),
      signal,
    );
    if (!keep) lease.release();
    return result;
  } catch (error) {
    lease.release({ broken: error instanceof PbError && BREAKS.has(error.code) });
    throw error;
  }
}

export interface About {
  readonly path: string;
  readonly peer: string;
}

/** A refusal as a `PbError`. 550 says no more than "no": who knows more asks first. */
export function ftpError(error: unknown, { path, peer }: About): PbError {
  if (error instanceof FtpRefusal) {
    const { code, retryable, hint } = meaning(error.code);
    return new PbError(code, `the FTP server says: ${displayPath(error.said)} (${error.code})`, {
      path,
      peer,
      cause: error,
      ...(hint && { hint }),
      ...(retryable === undefined ? {} : { retryable }),
    });
  }
  const known = PbError.from(error, "io_error", { path, peer });
  if (known.path !== undefined || known.code === "aborted") return known;
  return known.about({ path, peer: known.peer ?? peer });
}

interface Meaning {
  readonly code: PbError["code"];
  readonly retryable?: boolean;
  readonly hint?: string;
}

const FULL = "look whether the server's disk is full, or a quota used up";

/** RFC 959 section 4.2.1. */
function meaning(code: number): Meaning {
  if (code === 452 || code === 552) return { code: "no_space", hint: FULL };
  // "Local error in processing": vsftpd says it of a full disk, too.
  if (code === 451) return { code: "io_error", retryable: true, hint: FULL };
  if (code === 530 || code === 532) return { code: "unauthenticated" };
  if (code === 550) return { code: "permission_denied" };
  if (code === 553) return { code: "invalid_path" };
  if (code === 421) return { code: "resource_exhausted" };
  if (code === 425 || code === 426) return { code: "connection_lost" };
  if (code >= 500 && code < 505) return { code: "unsupported" };
  return { code: "io_error", retryable: code < 500 };
}
