/** Real servers of endpoints over a folder of the bench, and what each client must know of them. */
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PASSWORD, USER } from "../../test/servers/accounts.ts";
import { available as nginxMissing, startNginx } from "../../test/servers/nginx.ts";
import type { ServerPlace } from "../../test/servers/program.ts";
import { available as sshdMissing, startSshd } from "../../test/servers/sshd.ts";
import { startVersitygw, available as versitygwMissing } from "../../test/servers/versitygw.ts";
import { startVsftpd, available as vsftpdMissing } from "../../test/servers/vsftpd.ts";

export interface Served {
  /** What comes after `pb remote add NAME`; secrets by file. */
  readonly pb: readonly string[];
  /** rclone's remote `ep`, by environment. */
  readonly rclone: Readonly<Record<string, string>>;
  /** Where the folder is below the remote; ends with a slash, or is empty. */
  readonly below: string;
  /** Address for curl and lftp, where they know the protocol; ends with a slash. */
  readonly url?: string;
  stop(): Promise<void>;
}

export interface ServeOptions {
  /** What is served. */
  readonly root: string;
  /** For keys and configurations of clients. */
  readonly scratch: string;
  readonly place: ServerPlace;
}

export interface EndpointServer {
  readonly kind: "http" | "webdav" | "sftp" | "ftp" | "s3";
  readonly title: string;
  readonly uploads: boolean;
  whyNot(): string | undefined;
  start(options: ServeOptions): Promise<Served>;
}

export const SERVERS: readonly EndpointServer[] = [
  {
    kind: "http",
    title: "nginx",
    uploads: false,
    whyNot: () => nginxMissing(),
    async start({ root, place }) {
      const { url, stop } = await startNginx({ root, place });
      return {
        pb: ["http", "--set", `url=${url}`],
        rclone: { TYPE: "http", URL: url },
        below: "",
        url,
        stop,
      };
    },
  },
  {
    kind: "webdav",
    title: "nginx with dav-ext",
    uploads: true,
    whyNot: () => nginxMissing({ dav: true }),
    async start({ root, place }) {
      const { url, stop } = await startNginx({ root, place, dav: true });
      return {
        pb: ["webdav", "--set", `url=${url}`],
        rclone: { TYPE: "webdav", URL: url, VENDOR: "other" },
        below: "",
        stop,
      };
    },
  },
  { kind: "sftp", title: "OpenSSH", uploads: true, whyNot: sshdMissing, start: startSftp },
  { kind: "ftp", title: "vsftpd, in clear", uploads: true, whyNot: vsftpdMissing, start: startFtp },
  {
    kind: "s3",
    title: "versitygw",
    uploads: true,
    whyNot: versitygwMissing,
    start: startS3,
  },
];

async function startSftp({ root, scratch, place }: ServeOptions): Promise<Served> {
  const { host, port, key, hostKey, stop } = await startSshd({ place });
  const knownHosts = join(scratch, "known_hosts");
  await writeFile(knownHosts, `[${host}]:${port} ${hostKey}\n`);
  const settings = {
    host,
    port: String(port),
    user: USER,
    key_file: key,
    known_hosts: knownHosts,
    agent: "false",
    path: root,
  };
  return {
    pb: ["sftp", ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`])],
    rclone: { TYPE: "sftp", HOST: host, PORT: String(port), USER, KEY_FILE: key, SHELL_TYPE: "unix" },
    below: `${root}/`,
    stop,
  };
}

async function startFtp({ root, scratch, place }: ServeOptions): Promise<Served> {
  const { host, port, stop } = await startVsftpd({ tls: "none", place });
  const password = join(scratch, "password");
  await writeFile(password, PASSWORD, { mode: 0o600 });
  const settings = { host, port: String(port), user: USER, tls: "off", path: root };
  return {
    pb: [
      "ftp",
      ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
      "--secret-file",
      `password=${password}`,
    ],
    rclone: { TYPE: "ftp", HOST: host, PORT: String(port), USER },
    below: `${root}/`,
    url: `ftp://${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}@${host}:${port}/%2F${root.slice(1)}/`,
    stop,
  };
}

async function startS3({ root, scratch, place }: ServeOptions): Promise<Served> {
  const { endpoint, region, accessKeyId, secretAccessKey, data, stop } = await startVersitygw({ place });
  // A bucket is a folder of the gateway's.
  await symlink(root, join(data, "bench"));
  const files = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(files)) {
    await writeFile(join(scratch, name), value, { mode: 0o600 });
    secrets.push("--secret-file", `${name}=${join(scratch, name)}`);
  }
  return {
    pb: [
      "s3",
      "--set",
      `endpoint=${endpoint}`,
      "--set",
      `region=${region}`,
      "--set",
      "bucket=bench",
      ...secrets,
    ],
    rclone: {
      TYPE: "s3",
      PROVIDER: "Other",
      ENDPOINT: endpoint,
      REGION: region,
      ACCESS_KEY_ID: accessKeyId,
      SECRET_ACCESS_KEY: secretAccessKey,
      // Before a multipart upload it would make the bucket: versitygw answers 500 for one that has no owner, a mere folder, and rclone tries for ever.
      NO_CHECK_BUCKET: "true",
    },
    below: "bench/",
    stop,
  };
}
