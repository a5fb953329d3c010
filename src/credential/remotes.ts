/**
 * The remotes that this client knows: `PB_HOME/remotes.toml`, one table for each, and `PB_HOME/remotes/NAME.pem`
 * with the client's key and certificate and the server's CA, in one file so that they are replaced together.
 */

import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "smol-toml";
import { errnoOf } from "../model/errno.ts";
import { PbError } from "../model/error.ts";
import { displayPath } from "../model/path.ts";
import { ensurePrivateFolder, fileError, readSecret, replaceFile } from "./files.ts";
import { withLock } from "./lock.ts";

export interface Remote {
  readonly name: string;
  /** HOST:PORT, in the order to try. */
  readonly addresses: readonly string[];
  /** SHA-256 of the CA certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly clientId: string;
  readonly readOnly: boolean;
  readonly path: string;
}

/** PEM texts. */
export interface RemoteKeys {
  readonly key: string;
  readonly certificate: string;
  readonly ca: string;
}

export interface RemoteStore {
  /** Sorted by name. */
  list(): Promise<Remote[]>;
  /** By name, or by HOST:PORT of one of its addresses. @throws PbError `unknown_remote` */
  get(nameOrAddress: string): Promise<Remote>;
  keys(remote: Remote): Promise<RemoteKeys>;
  /** @throws PbError `exists` unless `replace` */
  put(remote: Remote, keys: RemoteKeys, options: { readonly replace: boolean }): Promise<void>;
  replaceKeys(remote: Remote, keys: RemoteKeys): Promise<void>;
  /** @throws PbError `unknown_remote` */
  remove(name: string): Promise<Remote>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** @throws PbError `usage` */
export function checkRemoteName(name: string): void {
  if (NAME.test(name)) return;
  throw new PbError(
    "usage",
    `"${name}" cannot name a remote: letters, digits, '.', '_' and '-', 64 at most`,
    {
      peer: name,
    },
  );
}

export function openRemotes(home: string): RemoteStore {
  const file = join(home, "remotes.toml");
  const folder = join(home, "remotes");
  const pemFile = (name: string) => join(folder, `${name}.pem`);

  async function prepare(): Promise<void> {
    await ensurePrivateFolder(home);
    await ensurePrivateFolder(folder);
  }

  const read = async () => readTable(file);
  const write = (remotes: Map<string, Remote>) => replaceFile(file, renderTable(remotes));

  const store: RemoteStore = {
    list: async () => [...(await read()).values()].sort((a, b) => (a.name < b.name ? -1 : 1)),

    async get(wanted) {
      const remotes = await read();
      const found =
        remotes.get(wanted) ?? [...remotes.values()].find((remote) => remote.addresses.includes(wanted));
      if (found) return found;
      throw unknown(wanted);
    },

    keys: async (remote) => splitPem(await readSecret(pemFile(remote.name)), pemFile(remote.name)),

    async put(remote, keys, { replace }) {
      checkRemoteName(remote.name);
      await prepare();
      await withLock(join(home, "remotes.lock"), async () => {
        const remotes = await read();
        if (remotes.has(remote.name) && !replace) throw taken(remote.name);
        await replaceFile(pemFile(remote.name), joinPem(keys));
        await write(remotes.set(remote.name, remote));
      });
    },

    replaceKeys: (remote, keys) => replaceFile(pemFile(remote.name), joinPem(keys)),

    async remove(name) {
      await prepare();
      return withLock(join(home, "remotes.lock"), async () => {
        const remotes = await read();
        const found = remotes.get(name);
        if (!found) throw unknown(name);
        remotes.delete(name);
        await write(remotes);
        await unlink(pemFile(name)).catch(ignoreMissing);
        return found;
      });
    },
  };
  return store;
}

/** For a check before an invite is spent. */
export function taken(name: string): PbError {
  return new PbError("exists", `a remote named ${name} is there already`, {
    peer: name,
    hint: `pb remote add --replace ${name} INVITE, or choose another name`,
  });
}

function unknown(name: string): PbError {
  return new PbError("unknown_remote", `no remote is called ${displayPath(name)}`, {
    peer: name,
    hint: "pb remote list shows those there are; pb remote add NAME INVITE makes one",
  });
}

async function readTable(file: string): Promise<Map<string, Remote>> {
  let text: string;
  try {
    text = await readSecret(file);
  } catch (error) {
    if (error instanceof PbError && error.code === "not_found") return new Map();
    throw error;
  }
  let tables: Record<string, unknown>;
  try {
    tables = parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new PbError("invalid_argument", `${file} is not valid TOML: ${why}`, { path: file, cause });
  }
  return new Map(Object.entries(tables).map(([name, table]) => [name, readRemote(file, name, table)]));
}

function readRemote(file: string, name: string, table: unknown): Remote {
  const { type, addresses, fingerprint, client_id, read_only, path } = (table ?? {}) as Record<
    string,
    unknown
  >;
  const whole =
    NAME.test(name) &&
    type === "pb" &&
    Array.isArray(addresses) &&
    addresses.length > 0 &&
    addresses.every((address) => typeof address === "string") &&
    typeof fingerprint === "string" &&
    /^[0-9a-f]{64}$/.test(fingerprint) &&
    typeof client_id === "string";
  if (!whole) {
    throw new PbError("invalid_argument", `${file}: the table [${displayPath(name)}] is not a whole remote`, {
      path: file,
      hint: "remove the table and add the remote again",
    });
  }
  return {
    name,
    addresses: addresses as string[],
    fingerprint,
    clientId: client_id,
    readOnly: read_only === true,
    path: typeof path === "string" ? path : "/",
  };
}

function renderTable(remotes: Map<string, Remote>): string {
  const tables = [...remotes.values()].map((remote) => [
    remote.name,
    {
      type: "pb",
      addresses: remote.addresses,
      fingerprint: remote.fingerprint,
      client_id: remote.clientId,
      read_only: remote.readOnly,
      path: remote.path,
    },
  ]);
  return stringify(Object.fromEntries(tables));
}

function joinPem({ key, certificate, ca }: RemoteKeys): string {
  return `${key.trim()}\n${certificate.trim()}\n${ca.trim()}\n`;
}

function splitPem(text: string, file: string): RemoteKeys {
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g) ?? [];
  const [key, certificate, ca] = blocks;
  if (blocks.length === 3 && key?.includes("PRIVATE KEY") && certificate && ca)
    return { key, certificate, ca };
  throw new PbError("invalid_argument", `${file} does not hold a key and two certificates`, {
    path: file,
    hint: "remove the remote and add it again with a new invite",
  });
}

function ignoreMissing(cause: unknown): void {
  if (errnoOf(cause) !== "ENOENT") throw fileError(cause, "");
}
