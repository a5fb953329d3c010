/** rclone.conf. Its passwords are obscured with a key that is the same in every rclone: readable by anybody, and so by us. */

import { createDecipheriv } from "node:crypto";
import { Secret, type Setting } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import type { EndpointRemote } from "../endpoint-remotes.ts";
import type { Imported, ImportedCredential } from "./imported.ts";
import { remoteNameOf } from "./imported.ts";
import { parseIni } from "./ini.ts";

/** fs/config/obscure/obscure.go of rclone. */
const OBSCURE_KEY = Buffer.from("9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638", "hex");
const IV_BYTES = 16;

/** @throws PbError `invalid_argument` for what rclone has not obscured */
export function unobscure(text: string): string {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.length < IV_BYTES || !/^[A-Za-z0-9_-]+$/.test(text)) {
    throw new PbError("invalid_argument", "a password there is not in the form that rclone writes");
  }
  const cipher = createDecipheriv("aes-256-ctr", OBSCURE_KEY, bytes.subarray(0, IV_BYTES));
  return Buffer.concat([cipher.update(bytes.subarray(IV_BYTES)), cipher.final()]).toString("utf8");
}

type Options = ReadonlyMap<string, string>;

interface Taken {
  readonly kind: EndpointRemote["kind"];
  readonly settings: Readonly<Record<string, Setting | undefined>>;
  readonly secrets: Readonly<Record<string, string | undefined>>;
}

const isOn = (text: string | undefined) => (text === undefined || text === "" ? undefined : text === "true");
const port = (options: Options) => (options.has("port") ? Number(options.get("port")) : undefined);

/** Obscured, and "" where it is not set. */
function hidden(options: Options, key: string): string | undefined {
  const text = options.get(key);
  return text ? unobscure(text) : undefined;
}

/** rclone writes a key on one line, with \n for its ends. */
const lines = (text: string | undefined) => text?.replaceAll("\\n", "\n");

const BY_TYPE: Readonly<Record<string, (options: Options) => Taken>> = {
  sftp: (options) => ({
    kind: "sftp",
    settings: {
      host: options.get("host"),
      port: port(options),
      user: options.get("user"),
      key_file: options.get("key_file"),
      known_hosts: options.get("known_hosts_file"),
      agent: isOn(options.get("key_use_agent")),
    },
    secrets: {
      password: hidden(options, "pass"),
      private_key: lines(options.get("key_pem")),
      passphrase: hidden(options, "key_file_pass"),
    },
  }),
  ftp: (options) => ({
    kind: "ftp",
    settings: {
      host: options.get("host"),
      port: port(options),
      user: options.get("user"),
      tls: isOn(options.get("tls")) ? "implicit" : isOn(options.get("explicit_tls")) ? "explicit" : "off",
    },
    secrets: { password: hidden(options, "pass") },
  }),
  http: (options) => ({ kind: "http", settings: { url: options.get("url") }, secrets: {} }),
  webdav: (options) => ({
    kind: "webdav",
    settings: { url: options.get("url"), user: options.get("user") },
    secrets: { password: hidden(options, "pass"), token: options.get("bearer_token") },
  }),
  s3: (options) => ({
    kind: "s3",
    settings: {
      endpoint: options.get("endpoint") && withScheme(options.get("endpoint") ?? ""),
      region: options.get("region"),
      path_style: isOn(options.get("force_path_style")),
      storage_class: options.get("storage_class"),
      profile: options.get("profile"),
    },
    secrets: {
      access_key_id: options.get("access_key_id"),
      secret_access_key: options.get("secret_access_key"),
      session_token: options.get("session_token"),
    },
  }),
};

function withScheme(endpoint: string): string {
  return endpoint.includes("://") ? endpoint : `https://${endpoint}`;
}

/** @throws PbError `unsupported` for a configuration that rclone has encrypted */
export function importRclone(text: string, file: string): Imported {
  if (/^RCLONE_ENCRYPT_V\d+:/m.test(text)) {
    throw new PbError("unsupported", `${file} is encrypted by rclone`, {
      path: file,
      hint: "rclone config show | pb credentials import rclone -",
    });
  }
  const remotes: EndpointRemote[] = [];
  const credentials: ImportedCredential[] = [];
  const skipped: { name: string; why: string }[] = [];
  for (const [section, options] of parseIni(text)) {
    const name = remoteNameOf(section);
    const type = options.get("type") ?? "";
    const take = Object.hasOwn(BY_TYPE, type) ? BY_TYPE[type] : undefined;
    if (!take || name === "") {
      skipped.push({ name: section, why: name === "" ? "no name for a remote" : `rclone's type "${type}"` });
      continue;
    }
    try {
      const { kind, settings, secrets } = take(options);
      remotes.push({ name, kind, settings: whole(settings) });
      const given = Object.entries(whole(secrets)).map(([key, value]) => [key, new Secret(value)] as const);
      if (given.length > 0) credentials.push({ name, secrets: new Map(given) });
    } catch (error) {
      skipped.push({ name: section, why: PbError.from(error).message });
    }
  }
  return { remotes, credentials, skipped };
}

function whole<T>(values: Readonly<Record<string, T | undefined>>): Record<string, T> {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(set) as Record<string, T>;
}
