/** One entry of the store, and its table in TOML. */

import { parse, stringify } from "smol-toml";
import { Secret } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import { displayPath } from "../../model/path.ts";

export const CREDENTIAL_KINDS = ["password", "key_pair", "token", "s3_key", "certificate"] as const;
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

/** What each kind may hold; the first is what makes it one. */
export const SECRETS_OF: Readonly<Record<CredentialKind, readonly string[]>> = {
  password: ["password"],
  key_pair: ["private_key", "passphrase", "password"],
  token: ["token"],
  s3_key: ["access_key_id", "secret_access_key", "session_token"],
  certificate: ["certificate", "private_key", "passphrase"],
};

export const SECRET_NAMES: readonly string[] = [...new Set(Object.values(SECRETS_OF).flat())];

export interface Credential {
  readonly name: string;
  readonly kind: CredentialKind;
  /** Who it is for, where that is not said by a remote. */
  readonly user?: string;
  /** The one host that may get it when a URL is given instead of a remote. */
  readonly host?: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly rotatedAt?: string;
  readonly secrets: ReadonlyMap<string, Secret>;
}

export type Credentials = Map<string, Credential>;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,127}$/;

/** @throws PbError `usage` */
export function checkCredentialName(name: string): void {
  if (NAME.test(name)) return;
  throw new PbError("usage", `"${displayPath(name)}" cannot name a credential: letters, digits, . _ - @ :`);
}

/** What a set of secrets is. @throws PbError `usage` for none, or a name that is unknown */
export function kindOf(names: Iterable<string>): CredentialKind {
  const all = [...names];
  const unknown = all.find((name) => !SECRET_NAMES.includes(name));
  if (unknown !== undefined || all.length === 0) {
    const what =
      unknown === undefined ? "no secret was given" : `no secret is called ${displayPath(unknown)}`;
    throw new PbError("usage", `${what}; there are ${SECRET_NAMES.join(", ")}`);
  }
  const has = (name: string) => all.includes(name);
  if (has("certificate")) return "certificate";
  if (has("access_key_id") || has("secret_access_key") || has("session_token")) return "s3_key";
  if (has("private_key") || has("passphrase")) return "key_pair";
  return has("token") ? "token" : "password";
}

export function renderCredentials(all: Credentials): string {
  const tables = [...all.values()].map(({ name, kind, user, host, createdAt, rotatedAt, secrets }) => [
    name,
    {
      kind,
      ...(user !== undefined && { user }),
      ...(host !== undefined && { host }),
      created_at: createdAt,
      ...(rotatedAt !== undefined && { rotated_at: rotatedAt }),
      secrets: Object.fromEntries([...secrets].map(([key, secret]) => [key, secret.reveal()])),
    },
  ]);
  return stringify(Object.fromEntries(tables));
}

/** @throws PbError `invalid_argument` naming file and table, and never what stands there */
export function parseCredentials(text: string, file: string): Credentials {
  let tables: Record<string, unknown>;
  try {
    tables = parse(text);
  } catch (cause) {
    // The parser's message and the error itself quote the lines around: they may hold secrets.
    const line = (cause as { line?: unknown }).line;
    const where = typeof line === "number" ? `, line ${line}` : "";
    throw new PbError("invalid_argument", `${file} is not valid TOML${where}`, { path: file });
  }
  return new Map(Object.entries(tables).map(([name, table]) => [name, readCredential(file, name, table)]));
}

function readCredential(file: string, name: string, table: unknown): Credential {
  const given = (table ?? {}) as Record<string, unknown>;
  const kind = CREDENTIAL_KINDS.find((each) => each === given.kind);
  const entries = Object.entries((given.secrets ?? {}) as Record<string, unknown>);
  const sound = entries.every(([key, value]) => SECRET_NAMES.includes(key) && typeof value === "string");
  if (!NAME.test(name) || !kind || !sound || entries.length === 0) {
    throw new PbError("invalid_argument", `${file}: the table [${displayPath(name)}] is no credential`, {
      path: file,
      hint: `a credential has kind = one of ${CREDENTIAL_KINDS.join(", ")} and a table [NAME.secrets] of texts`,
    });
  }
  const text = (key: string) => (typeof given[key] === "string" ? (given[key] as string) : undefined);
  const [user, host, rotatedAt] = [text("user"), text("host"), text("rotated_at")];
  return {
    name,
    kind,
    createdAt: text("created_at") ?? "",
    ...(user !== undefined && { user }),
    ...(host !== undefined && { host }),
    ...(rotatedAt !== undefined && { rotatedAt }),
    secrets: new Map(entries.map(([key, value]) => [key, new Secret(value as string)])),
  };
}
