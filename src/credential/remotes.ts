/**
 * The Packetboat servers among the remotes: their tables in `remotes.toml`, and for each `remotes/NAME.pem` with the client's
 * key and certificate and the server's CA, in one file so that they are replaced together. Where a token stands for the
 * client, only the CA is there.
 */

import { rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../model/errno.ts";
import { PbError } from "../model/error.ts";
import { ensurePrivateFolder, fileError, readSecret, replaceFile } from "./files.ts";
import {
  badTable,
  checkRemoteName,
  openRemoteTables,
  type Table,
  taken,
  unknownRemote,
} from "./remote-tables.ts";

export interface Remote {
  readonly name: string;
  /** HOST:PORT, in the order to try. */
  readonly addresses: readonly string[];
  /** SHA-256 of the CA certificate, lower-case hex. */
  readonly fingerprint: string;
  /** "" where a token stands for the client. */
  readonly clientId: string;
  readonly readOnly: boolean;
  readonly path: string;
  /** The client is known by the secret `token` of this remote instead of a certificate. */
  readonly byToken?: boolean;
}

/** PEM texts; key and certificate are "" where a token stands for the client. */
export interface RemoteKeys {
  readonly key: string;
  readonly certificate: string;
  readonly ca: string;
}

export interface RemoteStore {
  /** Sorted by name; those of kind pb. */
  list(): Promise<Remote[]>;
  /** By name, or by HOST:PORT of one of its addresses. @throws PbError `unknown_remote`; `unsupported` for one of another kind */
  get(nameOrAddress: string): Promise<Remote>;
  keys(remote: Remote): Promise<RemoteKeys>;
  /** @throws PbError `exists` unless `replace` */
  put(remote: Remote, keys: RemoteKeys, options: { readonly replace: boolean }): Promise<void>;
  replaceKeys(remote: Remote, keys: RemoteKeys): Promise<void>;
  /** @throws PbError `unknown_remote` */
  remove(name: string): Promise<Remote>;
  /** @throws PbError `unknown_remote`, `exists` */
  rename(from: string, to: string): Promise<void>;
}

export function openRemotes(home: string): RemoteStore {
  const tables = openRemoteTables(home);
  const folder = join(home, "remotes");
  const pemFile = (name: string) => join(folder, `${name}.pem`);

  async function read(): Promise<Map<string, Remote>> {
    const all = [...(await tables.read())].filter(([, table]) => isPb(table));
    return new Map(all.map(([name, table]) => [name, readRemote(tables.file, name, table)]));
  }

  async function prepare(): Promise<void> {
    await ensurePrivateFolder(home);
    await ensurePrivateFolder(folder);
  }

  const store: RemoteStore = {
    list: async () => [...(await read()).values()].sort((a, b) => (a.name < b.name ? -1 : 1)),

    async get(wanted) {
      const remotes = await read();
      const found =
        remotes.get(wanted) ?? [...remotes.values()].find((remote) => remote.addresses.includes(wanted));
      if (found) return found;
      const all = await tables.read();
      if (!all.has(wanted)) throw unknownRemote(wanted, all.keys());
      throw new PbError("unsupported", `${wanted} is no Packetboat server`, { peer: wanted });
    },

    keys: async (remote) => splitPem(await readSecret(pemFile(remote.name)), pemFile(remote.name)),

    async put(remote, keys, { replace }) {
      checkRemoteName(remote.name);
      await prepare();
      await tables.edit(async (all) => {
        if (all.has(remote.name) && !replace) throw taken(remote.name);
        await replaceFile(pemFile(remote.name), joinPem(keys));
        all.set(remote.name, tableOf(remote));
      });
    },

    replaceKeys: (remote, keys) => replaceFile(pemFile(remote.name), joinPem(keys)),

    remove: (name) =>
      tables.edit(async (all) => {
        const table = all.get(name);
        if (!isPb(table)) throw unknownRemote(name, all.keys());
        const found = readRemote(tables.file, name, table);
        all.delete(name);
        await unlink(pemFile(name)).catch(ignoreMissing);
        return found;
      }),

    async rename(from, to) {
      checkRemoteName(to);
      await tables.edit(async (all) => {
        const table = all.get(from);
        if (!isPb(table)) throw unknownRemote(from, all.keys());
        if (all.has(to)) throw taken(to);
        await rename(pemFile(from), pemFile(to)).catch(ignoreMissing);
        all.delete(from);
        all.set(to, table);
      });
    },
  };
  return store;
}

function isPb(table: Table | undefined): table is Table {
  return table?.type === "pb";
}

function readRemote(file: string, name: string, table: Table): Remote {
  const { addresses, fingerprint, client_id, read_only, path, auth } = table;
  const whole =
    Array.isArray(addresses) &&
    addresses.length > 0 &&
    addresses.every((address) => typeof address === "string") &&
    typeof fingerprint === "string" &&
    /^[0-9a-f]{64}$/.test(fingerprint) &&
    (typeof client_id === "string" || auth === "token");
  if (!whole) throw badTable(file, name);
  return {
    name,
    addresses: addresses as string[],
    fingerprint,
    clientId: typeof client_id === "string" ? client_id : "",
    readOnly: read_only === true,
    path: typeof path === "string" ? path : "/",
    ...(auth === "token" && { byToken: true }),
  };
}

function tableOf(remote: Remote): Table {
  const base = { type: "pb", addresses: [...remote.addresses], fingerprint: remote.fingerprint };
  if (remote.byToken) return { ...base, auth: "token" };
  return { ...base, client_id: remote.clientId, read_only: remote.readOnly, path: remote.path };
}

function joinPem({ key, certificate, ca }: RemoteKeys): string {
  return [key, certificate, ca]
    .filter((pem) => pem !== "")
    .map((pem) => `${pem.trim()}\n`)
    .join("");
}

function splitPem(text: string, file: string): RemoteKeys {
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g) ?? [];
  const [key, certificate, ca] = blocks;
  if (blocks.length === 3 && key?.includes("PRIVATE KEY") && certificate && ca)
    return { key, certificate, ca };
  if (blocks.length === 1 && key?.includes("CERTIFICATE")) return { key: "", certificate: "", ca: key };
  throw new PbError("invalid_argument", `${file} does not hold a key and two certificates`, {
    path: file,
    hint: "remove the remote and add it again with a new invite",
  });
}

function ignoreMissing(cause: unknown): void {
  if (errnoOf(cause) !== "ENOENT") throw fileError(cause, "");
}
