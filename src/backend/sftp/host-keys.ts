import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errnoOf } from "../../model/errno.ts";
import { PbError } from "../../model/error.ts";
import { fingerprint, type KnownKey, keyType, knownKeys, knownLine } from "./known-hosts.ts";

export interface HostKeyOptions {
  readonly host: string;
  readonly port: number;
  /** In errors. */
  readonly peer: string;
  /** Of the remote: "SHA256:…" is the one key; "accept-new" takes the first that is seen and keeps it; "": must be known. */
  readonly pinned: string;
  /** Files of OpenSSH, read only. */
  readonly files: readonly string[];
  /** Ours, where a key that was accepted is kept; read too. */
  readonly own: string;
}

export interface HostKeys {
  /** Types to ask for first: a server shows one key, and it should be one that is known. */
  readonly types: readonly string[];
  /** @throws PbError `fingerprint_mismatch` for a key that is not known (with its fingerprint), has changed, or is revoked */
  check(key: Buffer): Promise<void>;
}

/** The pinned, known and accepted keys of one host. @throws PbError `invalid_argument` for a pin that is none, `permission_denied` */
export async function loadHostKeys(options: HostKeyOptions): Promise<HostKeys> {
  const { host, port, pinned } = options;
  if (pinned !== "" && pinned !== "accept-new" && !/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(pinned))
    throw new PbError("invalid_argument", `host_key: "${pinned}" is neither SHA256:… nor accept-new`, {
      peer: options.peer,
      hint: "ssh-keygen -l -f shows a key's fingerprint",
    });
  const lists = await Promise.all(
    [...options.files, options.own].map(async (file) =>
      knownKeys(await contentOf(file), { host, port, file }),
    ),
  );
  const known = lists.flat();
  return {
    types: [...new Set(known.filter(({ revoked }) => !revoked).map(({ type }) => type))],
    check: (key) => check(key, known, options),
  };
}

async function check(key: Buffer, known: readonly KnownKey[], options: HostKeyOptions): Promise<void> {
  const { peer, pinned, host, port, own } = options;
  const shown = fingerprint(key);
  const same = known.filter((each) => each.key.equals(key));
  const revoked = same.find((each) => each.revoked);
  if (revoked)
    throw new PbError("fingerprint_mismatch", `the server's key ${shown} is revoked (${revoked.where})`, {
      peer,
    });
  if (pinned.startsWith("SHA256:")) {
    if (shown === pinned.replace(/=$/, "")) return;
    throw changed(shown, "host_key of the remote", peer);
  }
  if (same.length > 0) return;
  const other = known.find((each) => !each.revoked && each.type === keyType(key));
  if (other) throw changed(shown, other.where, peer);
  if (pinned !== "accept-new") throw unknown(shown, options);
  await mkdir(dirname(own), { recursive: true, mode: 0o700 });
  await appendFile(own, knownLine(host, port, key), { mode: 0o600 });
}

function changed(shown: string, where: string, peer: string): PbError {
  return new PbError(
    "fingerprint_mismatch",
    `the server's key has changed: it shows ${shown}, which is not what ${where} says`,
    {
      peer,
      hint: "somebody may be listening in; if the server was really set up anew, remove that line or change host_key",
      retryable: false,
    },
  );
}

function unknown(shown: string, { peer, host, port }: HostKeyOptions): PbError {
  const at = port === 22 ? host : `-p ${port} ${host}`;
  return new PbError("fingerprint_mismatch", `the server's key ${shown} is not known here`, {
    peer,
    hint: `compare it with the server's own (ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub there), then: ssh ${at}, or give the remote host_key=${shown} (--set)`,
    retryable: false,
  });
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === "ENOENT" || errno === "ENOTDIR") return "";
    throw new PbError("permission_denied", `${file} cannot be read`, { path: file, cause });
  }
}

/** OpenSSH's own, and the machine's. */
export function usualFiles(home: string): string[] {
  return [join(home, ".ssh/known_hosts"), "/etc/ssh/ssh_known_hosts"];
}
