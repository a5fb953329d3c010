/**
 * The store of a client's, or a server's, secrets for endpoints:
 *
 *   FOLDER/identity         an X25519 identity of age; by the user's wish itself sealed with a passphrase
 *   FOLDER/credentials.age  one TOML table for each credential, sealed for that identity
 *   FOLDER/credentials.toml the same in clear, for those who want it so; told at each use
 *
 * All are 0600, and read again whenever they have changed: what is rotated or removed is so for whoever asks next.
 */

import { statSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { PbError } from "../../model/error.ts";
import { ensurePrivateFolder, fileError, readSecret, replaceFile } from "../files.ts";
import { withLock } from "../lock.ts";
import {
  ARMOR_START,
  newIdentity,
  SCRYPT_LOG_N,
  seal,
  sealByPassphrase,
  unseal,
  unsealByPassphrase,
} from "./age.ts";
import { type Credential, type Credentials, parseCredentials, renderCredentials } from "./credential.ts";
import type { PassphraseSource } from "./passphrase.ts";

export interface VaultOptions {
  readonly folder: string;
  readonly passphrase?: PassphraseSource;
  /** Told once when secrets lie in clear. */
  readonly warn?: (text: string) => void;
  /** Tests take less. */
  readonly scryptLogN?: number;
}

export interface VaultState {
  readonly form: "none" | "sealed" | "plain";
  /** A passphrase is needed. */
  readonly locked: boolean;
  readonly file: string;
}

export interface Vault {
  readonly folder: string;
  state(): Promise<VaultState>;
  /** Sorted by name. @throws PbError `unauthenticated` when locked and nobody gives the passphrase */
  list(): Promise<Credential[]>;
  get(name: string): Promise<Credential | undefined>;
  /** One edit at a time over all processes; what `edit` throws leaves everything as it was. */
  change<T>(edit: (all: Credentials) => T): Promise<T>;
  /** Protects the identity by a passphrase; what lay in clear is sealed first. */
  lock(passphrase: string): Promise<void>;
  /** Takes the passphrase off; with `plain` the credentials lie in clear afterwards. */
  unlock(options: { readonly plain: boolean }): Promise<void>;
  /** A new identity; the old one opens nothing any more. */
  rekey(): Promise<void>;
}

/** Of what was read, as long as the file is the same. */
interface Kept<T> {
  readonly stamp: string;
  readonly value: T;
}

export function openVault(options: VaultOptions): Vault {
  const { folder, passphrase, warn, scryptLogN = SCRYPT_LOG_N } = options;
  const files = {
    identity: join(folder, "identity"),
    sealed: join(folder, "credentials.age"),
    plain: join(folder, "credentials.toml"),
  };
  let identity: Kept<string> | undefined;
  let content: Kept<Credentials> | undefined;
  let warned = false;
  const { stampOf, forget } = createLooks();
  const replace = (file: string, text: string) => replaceFile(file, text).finally(forget);
  const removeFile = (file: string) => remove(file).finally(forget);

  function form(): VaultState["form"] {
    if (stampOf(files.sealed) !== undefined) return "sealed";
    return stampOf(files.plain) === undefined ? "none" : "plain";
  }

  function warnOfPlain(): void {
    if (warned) return;
    warned = true;
    warn?.(`${files.plain} holds secrets in clear; pb credentials lock seals them`);
  }

  async function open(): Promise<string> {
    const stamp = stampOf(files.identity);
    if (stamp !== undefined && identity?.stamp === stamp) return identity.value;
    const value = await openIdentity(await readSecret(files.identity));
    if (stamp !== undefined) identity = { stamp, value };
    return value;
  }

  async function openIdentity(text: string): Promise<string> {
    if (!text.includes(ARMOR_START)) return secretKeyIn(text, files.identity);
    const given = await passphrase?.get(files.identity);
    if (given === undefined) throw locked(files.identity);
    try {
      return secretKeyIn(await unsealByPassphrase(text, given, files.identity), files.identity);
    } catch (error) {
      passphrase?.forget();
      throw error;
    }
  }

  async function read(): Promise<Credentials> {
    const now = form();
    if (now === "none") return new Map();
    const file = now === "sealed" ? files.sealed : files.plain;
    if (now === "plain" || stampOf(files.plain) !== undefined) warnOfPlain();
    const stamp = stampOf(file);
    // A vault that was locked since asks for its passphrase.
    const key = now === "sealed" ? await open() : "";
    if (stamp !== undefined && content?.stamp === stamp) return new Map(content.value);
    const text = await readSecret(file);
    const value = parseCredentials(now === "sealed" ? await unseal(text, key, file) : text, file);
    if (stamp !== undefined) content = { stamp, value };
    return new Map(value);
  }

  async function write(all: Credentials, as: "sealed" | "plain"): Promise<void> {
    const text = renderCredentials(all);
    if (as === "plain") return replace(files.plain, text);
    if (stampOf(files.identity) === undefined) {
      await replace(files.identity, identityFile(await newIdentity()));
    }
    await replace(files.sealed, await seal(text, await open()));
  }

  /** The passphrase is asked for before others have to wait. */
  async function exclusively<T>(work: () => Promise<T>): Promise<T> {
    await ensurePrivateFolder(folder);
    if (form() === "sealed") await open();
    return withLock(join(folder, "credentials.lock"), () => {
      forget();
      return work();
    });
  }

  async function sealWhatIsPlain(): Promise<void> {
    if (form() !== "plain") return;
    await write(await read(), "sealed");
    await removeFile(files.plain);
  }

  return {
    folder,

    async state() {
      const now = form();
      const text = await readSecret(files.identity).catch(ifMissing);
      const isLocked = now !== "plain" && text?.includes(ARMOR_START) === true;
      return { form: now, locked: isLocked, file: now === "plain" ? files.plain : files.sealed };
    },

    list: async () => [...(await read()).values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    get: async (name) => (await read()).get(name),

    change: (edit) =>
      exclusively(async () => {
        const all = await read();
        const result = edit(all);
        await write(all, form() === "plain" ? "plain" : "sealed");
        return result;
      }),

    lock: (given) =>
      exclusively(async () => {
        if (given === "") throw new PbError("usage", "an empty passphrase protects nothing");
        await sealWhatIsPlain();
        if (stampOf(files.identity) === undefined) await write(await read(), "sealed");
        const text = identityFile(await open());
        await replace(files.identity, await sealByPassphrase(text, given, scryptLogN));
        identity = undefined;
      }),

    unlock: ({ plain }) =>
      exclusively(async () => {
        if (form() === "none") throw empty(folder);
        if (form() === "sealed") {
          if (plain) {
            await write(await read(), "plain");
            await removeFile(files.sealed);
          }
          await replace(files.identity, identityFile(await open()));
        }
      }),

    rekey: () =>
      exclusively(async () => {
        if (form() !== "sealed") throw empty(folder);
        if ((await readSecret(files.identity)).includes(ARMOR_START)) {
          throw new PbError(
            "usage",
            "the identity is protected by a passphrase: pb credentials unlock first",
          );
        }
        const text = renderCredentials(await read());
        const key = await newIdentity();
        // For both, until the new one is in its place: whatever comes between, what is there can be opened.
        await replace(files.sealed, await seal(text, await open(), key));
        await replace(files.identity, identityFile(key));
        await replace(files.sealed, await seal(text, key));
      }),
  };
}

function identityFile(key: string): string {
  return `# Opens credentials.age beside it. For nobody's eyes.\n${key}\n`;
}

function secretKeyIn(text: string, file: string): string {
  const line = text.split(/\r?\n/).find((each) => each.startsWith("AGE-SECRET-KEY-"));
  if (line !== undefined) return line.trim();
  throw new PbError("invalid_argument", `${file} holds no identity of age`, {
    path: file,
    hint: "restore it from a copy; without it the credentials beside it cannot be read",
  });
}

interface Looks {
  /** Replaced files have a new inode; undefined when there is none. */
  stampOf(file: string): string | undefined;
  /** After a change of one's own. */
  forget(): void;
}

/**
 * Every request to an endpoint asks for each of its secrets: one look for all that is asked in a turn of the event loop, and not by the thread
 * pool. Thousands of small files waited longer for that than for their server (docs/design/0012).
 */
function createLooks(): Looks {
  const seen = new Map<string, string | undefined>();
  const forget = () => seen.clear();
  return {
    stampOf(file) {
      if (seen.has(file)) return seen.get(file);
      const stamp = lookAt(file);
      if (seen.size === 0) setImmediate(forget);
      seen.set(file, stamp);
      return stamp;
    },
    forget,
  };
}

function lookAt(file: string): string | undefined {
  try {
    const found = statSync(file, { bigint: true, throwIfNoEntry: false });
    if (found === undefined) return undefined;
    const { ino, size, mtimeNs, ctimeNs } = found;
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (cause) {
    throw fileError(cause, file);
  }
}

function ifMissing(error: unknown): undefined {
  if (error instanceof PbError && error.code === "not_found") return undefined;
  throw error;
}

async function remove(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (cause) {
    throw fileError(cause, file);
  }
}

function locked(file: string): PbError {
  return new PbError("unauthenticated", `${file} is protected by a passphrase`, {
    path: file,
    hint: "give it by --password-command CMD, PB_CONFIG_PASS, or on a terminal",
  });
}

function empty(folder: string): PbError {
  return new PbError("not_found", `no sealed credentials are in ${folder}`, { path: folder });
}
