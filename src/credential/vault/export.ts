/** A whole store in one text, sealed by a passphrase: for another machine, or a drawer. */

import { parse, stringify, type TomlTable } from "smol-toml";
import type { Secret } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import type { EndpointRemote } from "../endpoint-remotes.ts";
import type { Imported } from "../imports/imported.ts";
import { SCRYPT_LOG_N, sealByPassphrase, unsealByPassphrase } from "./age.ts";
import { type Credentials, parseCredentials, renderCredentials } from "./credential.ts";

export interface ExportOptions {
  readonly remotes: readonly EndpointRemote[];
  readonly credentials: Credentials;
  readonly passphrase: Secret;
  readonly scryptLogN?: number;
}

export async function exportStore(options: ExportOptions): Promise<string> {
  const { remotes, credentials, passphrase, scryptLogN = SCRYPT_LOG_N } = options;
  const tables = Object.fromEntries(remotes.map(({ name, ...rest }) => [name, rest]));
  const text = stringify({ remotes: tables, credentials: renderCredentials(credentials) } as TomlTable);
  return sealByPassphrase(text, passphrase.reveal(), scryptLogN);
}

/** @throws PbError `unauthenticated` for another passphrase, `invalid_argument` for what is no export */
export async function importStore(sealed: string, passphrase: Secret, file: string): Promise<Imported> {
  const text = await unsealByPassphrase(sealed.trim(), passphrase.reveal(), file);
  let tables: { remotes?: unknown; credentials?: unknown };
  try {
    tables = parse(text);
  } catch {
    throw notOurs(file);
  }
  if (typeof tables.credentials !== "string") throw notOurs(file);
  const remotes = Object.entries((tables.remotes ?? {}) as Record<string, Omit<EndpointRemote, "name">>);
  return {
    remotes: remotes.map(([name, rest]) => ({ ...rest, name })),
    credentials: [...parseCredentials(tables.credentials, file).values()],
    skipped: [],
  };
}

function notOurs(file: string): PbError {
  return new PbError("invalid_argument", `${file} is no export of pb credentials`, { path: file });
}
