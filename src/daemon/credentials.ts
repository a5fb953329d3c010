/** What `pb credentials` asks for, but tokens: see jwt/. */

import { type EndpointRemote, openEndpointRemotes } from "../credential/endpoint-remotes.ts";
import { readText } from "../credential/files.ts";
import type { Imported } from "../credential/imports/imported.ts";
import { readImport } from "../credential/imports/read.ts";
import { openRemotes } from "../credential/remotes.ts";
import {
  type Credential,
  type Credentials,
  checkCredentialName,
  kindOf,
} from "../credential/vault/credential.ts";
import { exportStore, importStore } from "../credential/vault/export.ts";
import type { PassphraseSource } from "../credential/vault/passphrase.ts";
import type { Vault } from "../credential/vault/vault.ts";
import type { CredentialActions, CredentialChange, CredentialInfo, ImportOptions } from "../model/actions.ts";
import { Secret } from "../model/endpoint.ts";
import { PbError } from "../model/error.ts";
import { displayPath } from "../model/path.ts";
import { createTokenActions } from "./token-actions.ts";

export interface CredentialActionsOptions {
  readonly folder: string;
  readonly vault: Vault;
  readonly passphrase: PassphraseSource;
  readonly env: NodeJS.ProcessEnv;
}

export function createCredentialActions(options: CredentialActionsOptions): CredentialActions {
  const { folder, vault, passphrase, env } = options;
  const remotes = openEndpointRemotes(folder);
  const servers = openRemotes(folder);

  async function usersOf(): Promise<(name: string) => string[]> {
    const all = [
      ...(await remotes.list()).map(({ name, credential = name }) => ({ name, credential })),
      ...(await servers.list())
        .filter(({ byToken }) => byToken)
        .map(({ name }) => ({ name, credential: name })),
    ];
    return (wanted) => all.filter(({ credential }) => credential === wanted).map(({ name }) => name);
  }

  const info = async (credential: Credential) => infoOf(credential, (await usersOf())(credential.name));

  async function take({ source, file, text, passphrase: given }: ImportOptions): Promise<Imported> {
    if (source !== "pb") return readImport({ source, file, text, env });
    if (!given) throw new PbError("usage", "an export is opened by its passphrase");
    if (text === undefined && file === undefined) throw new PbError("usage", "name the file of the export");
    return importStore(text ?? (await readText(file ?? "")), given, file ?? "standard input");
  }

  return {
    ...createTokenActions(folder),
    state: () => vault.state(),

    async list() {
      const users = await usersOf();
      return (await vault.list()).map((each) => infoOf(each, users(each.name)));
    },

    async show(name) {
      const found = await vault.get(name);
      if (!found) throw unknown(name);
      return { ...(await info(found)), values: found.secrets };
    },

    async add(name, given, { replace }) {
      checkCredentialName(name);
      const made = madeOf(name, given);
      await vault.change((all) => {
        if (all.has(name) && !replace) throw taken(name);
        all.set(name, made);
      });
      return info(made);
    },

    async edit(name, change, { rotate }) {
      return info(await vault.change((all) => edited(all, name, { change, rotate })));
    },

    async remove(name) {
      const users = (await usersOf())(name);
      const gone = await vault.change((all) => {
        const found = all.get(name);
        if (!found) throw unknown(name);
        all.delete(name);
        return found;
      });
      return infoOf(gone, users);
    },

    async import(given) {
      const { remotes: found, credentials, skipped } = await take(given);
      const refused = [...skipped];
      const added: EndpointRemote[] = [];
      for (const remote of found) {
        try {
          await remotes.put(remote, { replace: given.replace });
          added.push(remote);
        } catch (error) {
          refused.push({ name: remote.name, why: PbError.from(error).message });
        }
      }
      // Not those of a remote that is another's.
      const lost = new Set(found.filter((each) => !added.includes(each)).map(({ name }) => name));
      const taking = credentials.filter(({ name }) => !lost.has(name));
      const kept: string[] = [];
      if (taking.length > 0) {
        await vault.change((all) => {
          for (const { name, ...rest } of taking) {
            if (all.has(name) && !given.replace)
              refused.push({ name, why: "a credential of this name is there" });
            else {
              all.set(name, madeOf(name, rest));
              kept.push(name);
            }
          }
        });
      }
      return { remotes: added.map(({ name }) => name), credentials: kept, skipped: refused };
    },

    async export(given) {
      const credentials = new Map((await vault.list()).map((each) => [each.name, each]));
      const sealed = await exportStore({ remotes: await remotes.list(), credentials, passphrase: given });
      return { sealed, leftOut: (await servers.list()).map(({ name }) => name) };
    },

    lock: (given) => vault.lock(given.reveal()),
    unlock: (how) => vault.unlock(how),
    rekey: () => vault.rekey(),
    async givenPassphrase() {
      const given = await passphrase.given();
      return given === undefined ? undefined : new Secret(given);
    },
    passphraseForChild: () => passphrase.known(),
  };
}

export function madeOf(name: string, { user, host, secrets }: CredentialChange): Credential {
  return {
    name,
    kind: kindOf(secrets.keys()),
    createdAt: new Date().toISOString(),
    ...(user !== undefined && { user }),
    ...(host !== undefined && { host: host.toLowerCase() }),
    secrets,
  };
}

function edited(
  all: Credentials,
  name: string,
  { change, rotate }: { readonly change: CredentialChange; readonly rotate: boolean },
): Credential {
  const found = all.get(name);
  if (!found) throw unknown(name);
  const secrets = new Map([...(rotate ? [] : found.secrets), ...change.secrets]);
  for (const each of change.drop ?? []) secrets.delete(each);
  refuseHalf(name, { found, secrets, rotate });
  const { user = found.user, host = found.host } = change;
  const made: Credential = {
    ...madeOf(name, { secrets, ...(user !== undefined && { user }), ...(host !== undefined && { host }) }),
    createdAt: found.createdAt,
    ...((rotate || change.secrets.size > 0) && { rotatedAt: new Date().toISOString() }),
  };
  all.set(name, made);
  return made;
}

/** Of an S3 key neither half is of any use without the other; which of the two is meant to stay, nobody has said. */
function refuseHalf(
  name: string,
  {
    found,
    secrets,
    rotate,
  }: { readonly found: Credential; readonly secrets: Credential["secrets"]; rotate: boolean },
): void {
  const missing = S3_HALVES.find((each) => !secrets.has(each));
  if (missing === undefined || S3_HALVES.every((each) => !secrets.has(each)) || !found.secrets.has(missing))
    return;
  throw new PbError("usage", `${displayPath(name)} would be left without its ${missing}`, {
    hint: rotate
      ? `give all of a new key, or change one part: pb credentials edit ${name} --stdin NAME`
      : "remove both",
  });
}

const S3_HALVES = ["access_key_id", "secret_access_key"] as const;

function infoOf({ secrets, ...rest }: Credential, usedBy: readonly string[]): CredentialInfo {
  return { ...rest, secrets: [...secrets.keys()], usedBy };
}

function unknown(name: string): PbError {
  return new PbError("not_found", `no credential is called ${displayPath(name)}`, {
    hint: "pb credentials list shows those there are",
  });
}

function taken(name: string): PbError {
  return new PbError("exists", `a credential named ${name} is there already`, {
    hint: `pb credentials rotate ${name} replaces its secrets; --replace all of it`,
  });
}
