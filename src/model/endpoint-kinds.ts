/** What can be said of a remote of each kind, in its table of remotes.toml, and which secrets it may have. */

import type { EndpointKind, Setting } from "./endpoint.ts";

export interface SettingSpec {
  readonly name: string;
  readonly type: "string" | "boolean" | "number";
  /** One line, for a wizard and for help. */
  readonly about: string;
  readonly required?: boolean;
  /** The only values. */
  readonly choices?: readonly string[];
  readonly initial?: Setting;
  /** `file`: a path on this machine. */
  readonly format?: "port" | "url" | "file";
  /** Most do without: a wizard asks for it only who wants to be asked. */
  readonly rare?: true;
}

export interface SecretSpec {
  readonly name: string;
  readonly about: string;
  /** Several lines, such as a key: read from a file rather than typed. */
  readonly multiline?: boolean;
}

export interface KindSpec {
  readonly about: string;
  readonly settings: readonly SettingSpec[];
  readonly secrets: readonly SecretSpec[];
}

const HOST: SettingSpec = { name: "host", type: "string", about: "host name or address", required: true };
const USER: SettingSpec = { name: "user", type: "string", about: "user name" };
const PORT: SettingSpec = {
  name: "port",
  type: "number",
  about: "1 to 65535; default: the usual one",
  format: "port",
};
const PATH: SettingSpec = { name: "path", type: "string", about: "folder that REMOTE:/ stands for" };
const WEB: SettingSpec = {
  name: "url",
  type: "string",
  about: "https://HOST/PATH",
  required: true,
  format: "url",
};
const CA_FILE: SettingSpec = {
  name: "ca_file",
  type: "string",
  about: "certificates of authorities to trust instead of the system's, PEM",
  format: "file",
  rare: true,
};
const PASSWORD: SecretSpec = { name: "password", about: "password" };
const TOKEN: SecretSpec = { name: "token", about: "token (Authorization: Bearer)" };

export const KINDS: Readonly<Record<EndpointKind, KindSpec>> = {
  sftp: {
    about: "a server with SSH",
    settings: [
      HOST,
      PORT,
      USER,
      PATH,
      {
        name: "key_file",
        type: "string",
        about: "private key on disk, instead of one in the store",
        format: "file",
      },
      { name: "agent", type: "boolean", about: "ask the SSH agent", initial: true, rare: true },
      {
        name: "host_key",
        type: "string",
        about: "the server's key must be this: SHA256:...; accept-new: take the first, and keep it",
      },
      {
        name: "known_hosts",
        type: "string",
        about: "file of known hosts; default: ~/.ssh/known_hosts",
        format: "file",
        rare: true,
      },
    ],
    secrets: [
      PASSWORD,
      { name: "private_key", about: "private key", multiline: true },
      { name: "passphrase", about: "passphrase of the private key" },
    ],
  },
  ftp: {
    about: "a server with FTP, with or without TLS",
    settings: [
      HOST,
      PORT,
      USER,
      PATH,
      {
        name: "tls",
        type: "string",
        about: "TLS: explicit (AUTH TLS), implicit (port 990), off (all in clear)",
        choices: ["explicit", "implicit", "off"],
        initial: "explicit",
      },
      CA_FILE,
    ],
    secrets: [PASSWORD],
  },
  http: { about: "a web server", settings: [WEB, USER, CA_FILE], secrets: [PASSWORD, TOKEN] },
  s3: {
    about: "object storage that speaks S3",
    settings: [
      { name: "endpoint", type: "string", about: "https://HOST; default: Amazon's", format: "url" },
      { name: "region", type: "string", about: "region; default: us-east-1" },
      {
        name: "bucket",
        type: "string",
        about: "bucket that REMOTE:/ stands for; default: a folder for each",
      },
      PATH,
      {
        name: "path_style",
        type: "boolean",
        about: "the bucket in the path, not in the host's name; default: with an endpoint",
        rare: true,
      },
      {
        name: "profile",
        type: "string",
        about: "profile of ~/.aws, where no key is in the store",
        rare: true,
      },
      { name: "anonymous", type: "boolean", about: "sign nothing: public buckets", rare: true },
      { name: "storage_class", type: "string", about: "of new objects", rare: true },
      {
        name: "listed_times",
        type: "boolean",
        about: "list when objects were uploaded; default: the times of their files, a request each",
        rare: true,
      },
      CA_FILE,
    ],
    secrets: [
      { name: "access_key_id", about: "access key id" },
      { name: "secret_access_key", about: "secret access key" },
      { name: "session_token", about: "session token, of temporary keys" },
    ],
  },
  webdav: {
    about: "a server with WebDAV (Nextcloud, ownCloud, nginx, Apache)",
    settings: [
      WEB,
      USER,
      CA_FILE,
      {
        name: "keeps_times",
        type: "boolean",
        about: "the server takes a file's time (X-OC-Mtime): Nextcloud, ownCloud",
      },
    ],
    secrets: [PASSWORD, TOKEN],
  },
  pb: {
    about: "a Packetboat server",
    settings: [
      { name: "address", type: "string", about: "HOST:PORT", required: true },
      {
        name: "fingerprint",
        type: "string",
        about: "SHA-256 of the server's authority, as it prints it",
        required: true,
      },
    ],
    secrets: [{ name: "token", about: "access token (JWT)" }],
  },
  local: {
    about: "a folder of this machine",
    settings: [{ ...PATH, required: true, format: "file" }],
    secrets: [],
  },
};

/** What a person is told of a value that can't be; undefined for one that can. The value is not repeated: it may hold a secret. */
export function problemOf({ type, format }: SettingSpec, text: string): string | undefined {
  if (type === "boolean") return /^(true|false)$/.test(text) ? undefined : "true or false it must be";
  if (type === "number" && !/^\d{1,9}$/.test(text)) return "a number it must be";
  if (format === "port" && !(Number(text) >= 1 && Number(text) <= 65_535)) return "a port is 1 to 65535";
  return format === "url" ? problemOfUrl(text) : undefined;
}

function problemOfUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) return "a URL it must be: https://HOST or http://HOST";
  if (url.username || url.password)
    return "user and password do not belong in the URL: they have fields of their own";
  return undefined;
}
