/** A real server for each kind of endpoint without an engine, with the folder that it shows: for tests of transfers between them. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../src/backend/backend.ts";
import { openFtp } from "../../src/backend/ftp/backend.ts";
import { openHttp } from "../../src/backend/http/backend.ts";
import { openS3 } from "../../src/backend/s3/backend.ts";
import { openSftp } from "../../src/backend/sftp/backend.ts";
import { openWebdav } from "../../src/backend/webdav/backend.ts";
import { type EndpointConfig, type EndpointKind, Secret } from "../../src/model/endpoint.ts";
import { PASSWORD, USER } from "./accounts.ts";
import { hasDavExt, startNginx } from "./nginx.ts";
import * as sshd from "./sshd.ts";
import { hasVersitygw, startVersitygw } from "./versitygw.ts";
import * as vsftpd from "./vsftpd.ts";

export interface RealEndpoint {
  /** Of this machine; what is in it is at the endpoint's top. */
  readonly root: string;
  readonly open: () => Promise<Backend>;
  stop(): Promise<void>;
}

export interface EndpointServer {
  readonly name: string;
  /** Why it can't be started here. */
  readonly missing: string | undefined;
  readonly start: () => Promise<RealEndpoint>;
}

const ACCOUNT = { name: "sailor", password: "only for this test" };
const newRoot = () => mkdtemp(join(tmpdir(), "pb-endpoint-"));
const toolsOf = (name: string, home = "/nonexistent") => ({ name, home, env: { HOME: home } });

function config(
  kind: EndpointKind,
  settings: EndpointConfig["settings"],
  secrets: Readonly<Record<string, string>>,
): EndpointConfig {
  return {
    kind,
    settings,
    secret: async (name) => (secrets[name] === undefined ? undefined : new Secret(secrets[name])),
  };
}

/** As `server`, with the folder gone too when it has stopped. */
function over(root: string, server: { stop(): Promise<void> }, open: RealEndpoint["open"]): RealEndpoint {
  const stop = async () => {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  };
  return { root, open, stop };
}

async function web(): Promise<RealEndpoint> {
  const root = await newRoot();
  const server = await startNginx({ user: ACCOUNT, root, dav: true, makeParents: true });
  const { name, password } = ACCOUNT;
  const settings = { url: server.url, user: name };
  return over(root, server, () => openHttp(config("http", settings, { password }), toolsOf("web")));
}

async function dav(): Promise<RealEndpoint> {
  const root = await newRoot();
  const server = await startNginx({ user: ACCOUNT, root, dav: true });
  const { name, password } = ACCOUNT;
  const settings = { url: server.url, user: name };
  return over(root, server, () => openWebdav(config("webdav", settings, { password }), toolsOf("dav")));
}

async function sftp(): Promise<RealEndpoint> {
  const root = await newRoot();
  const server = await sshd.startSshd();
  const { host, port, key, folder } = server;
  const settings = {
    host,
    port,
    user: USER,
    path: root,
    key_file: key,
    agent: false,
    host_key: "accept-new",
  };
  return over(root, server, () => openSftp(config("sftp", settings, {}), toolsOf("sftp", folder)));
}

async function ftp(): Promise<RealEndpoint> {
  const root = await newRoot();
  const server = await vsftpd.startVsftpd({ tls: "explicit" });
  const { host, port, folder, authority } = server;
  const ca_file = join(folder, "ca.pem");
  await writeFile(ca_file, authority);
  const settings = { host, port, user: USER, path: root, tls: "explicit", ca_file };
  return over(root, server, () =>
    openFtp(config("ftp", settings, { password: PASSWORD }), toolsOf("ftp", folder)),
  );
}

async function s3(): Promise<RealEndpoint> {
  const server = await startVersitygw();
  const root = join(server.data, "bucket");
  await mkdir(root);
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const secrets = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  const settings = { endpoint, region, bucket: "bucket" };
  return over(root, server, () => openS3(config("s3", settings, secrets), toolsOf("s3")));
}

const unless = (there: boolean, what: string) => (there ? undefined : `${what} is not installed`);

export const SERVERS: readonly EndpointServer[] = [
  { name: "web", missing: unless(hasDavExt(), "nginx with dav-ext"), start: web },
  { name: "dav", missing: unless(hasDavExt(), "nginx with dav-ext"), start: dav },
  { name: "sftp", missing: sshd.available(), start: sftp },
  { name: "ftp", missing: vsftpd.available(), start: ftp },
  { name: "sthree", missing: unless(hasVersitygw(), "versitygw"), start: s3 },
];
