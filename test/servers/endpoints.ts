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
import * as nginx from "./nginx.ts";
import * as sshd from "./sshd.ts";
import * as versitygw from "./versitygw.ts";
import * as vsftpd from "./vsftpd.ts";

export interface RealEndpoint {
  /** Of this machine; what is in it is at the endpoint's top. */
  readonly root: string;
  readonly open: () => Promise<Backend>;
  /** What `pb remote add` is told. */
  readonly remote: RemoteWords;
  stop(): Promise<void>;
}

export interface RemoteWords {
  readonly kind: EndpointKind;
  readonly settings: EndpointConfig["settings"];
  readonly secrets: Readonly<Record<string, string>>;
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

function config({ kind, settings, secrets }: RemoteWords): EndpointConfig {
  return {
    kind,
    settings,
    secret: async (name) => (secrets[name] === undefined ? undefined : new Secret(secrets[name])),
  };
}

/** As `server`, with the folder gone too when it has stopped. */
function over(
  root: string,
  server: { stop(): Promise<void> },
  {
    remote,
    open,
  }: { readonly remote: RemoteWords; readonly open: (config: EndpointConfig) => Promise<Backend> },
): RealEndpoint {
  const stop = async () => {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  };
  return { root, open: () => open(config(remote)), remote, stop };
}

async function web(): Promise<RealEndpoint> {
  const root = await newRoot();
  const server = await nginx.startNginx({ user: ACCOUNT, root, dav: true, makeParents: true });
  const { name, password } = ACCOUNT;
  const settings = { url: server.url, user: name };
  const remote: RemoteWords = { kind: "http", settings, secrets: { password } };
  return over(root, server, { remote, open: (config) => openHttp(config, toolsOf("web")) });
}

async function dav(): Promise<RealEndpoint> {
  const root = await newRoot();
  const server = await nginx.startNginx({ user: ACCOUNT, root, dav: true });
  const { name, password } = ACCOUNT;
  const settings = { url: server.url, user: name };
  const remote: RemoteWords = { kind: "webdav", settings, secrets: { password } };
  return over(root, server, { remote, open: (config) => openWebdav(config, toolsOf("dav")) });
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
  const remote: RemoteWords = { kind: "sftp", settings, secrets: {} };
  return over(root, server, { remote, open: (config) => openSftp(config, toolsOf("sftp", folder)) });
}

async function ftp(): Promise<RealEndpoint> {
  const root = await newRoot();
  const server = await vsftpd.startVsftpd({ tls: "explicit" });
  const { host, port, folder, authority } = server;
  const ca_file = join(folder, "ca.pem");
  await writeFile(ca_file, authority);
  const settings = { host, port, user: USER, path: root, tls: "explicit", ca_file };
  const remote: RemoteWords = { kind: "ftp", settings, secrets: { password: PASSWORD } };
  return over(root, server, { remote, open: (config) => openFtp(config, toolsOf("ftp", folder)) });
}

async function s3(): Promise<RealEndpoint> {
  const server = await versitygw.startVersitygw();
  const root = join(server.data, "bucket");
  await mkdir(root);
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const secrets = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  const settings = { endpoint, region, bucket: "bucket" };
  const remote: RemoteWords = { kind: "s3", settings, secrets };
  return over(root, server, { remote, open: (config) => openS3(config, toolsOf("s3")) });
}

export const SERVERS: readonly EndpointServer[] = [
  { name: "web", missing: nginx.available({ dav: true }), start: web },
  { name: "dav", missing: nginx.available({ dav: true }), start: dav },
  { name: "sftp", missing: sshd.available(), start: sftp },
  { name: "ftp", missing: vsftpd.available(), start: ftp },
  { name: "sthree", missing: versitygw.available(), start: s3 },
];
