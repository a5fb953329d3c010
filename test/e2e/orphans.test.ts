/** What `pb` killed with -9 leaves at an endpoint that forgets nothing by itself, and what removes it. */

import type { ChildProcess } from "node:child_process";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RealEndpoint, SERVERS } from "../servers/endpoints.ts";
import { mustPass, type PbOptions, pb } from "./harness.ts";
import { exited, PB, start } from "./lib/process.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { type Scratch, scratch } from "./lib/scratch.ts";

const MIB = 1 << 20;

const endpoints = new Map<string, RealEndpoint>();
let folder: Scratch;
let home: string;
const env = () => ({ HOME: folder.at("home"), SSH_AUTH_SOCK: "" });

const missing = SERVERS.flatMap(({ name, missing: why }) => (why ? [`${name}: ${why}`] : []));
const has = (name: string) => SERVERS.some((each) => each.name === name && each.missing === undefined);

beforeAll(async () => {
  folder = scratch();
  home = folder.at("home");
  for (const { name, missing: why, start: begin } of SERVERS) {
    if (why !== undefined) continue;
    const endpoint = await begin();
    endpoints.set(name, endpoint);
    await addRemote(name, endpoint.remote);
  }
});
afterAll(async () => {
  await Promise.allSettled([...endpoints.values()].map((each) => each.stop()));
  await folder?.[Symbol.asyncDispose]();
});

async function ok(args: readonly string[], options: Partial<PbOptions> = {}) {
  return mustPass(args, await pb(args, { home, env: env(), cwd: folder.path, ...options }));
}

async function addRemote(name: string, { kind, settings, secrets }: RealEndpoint["remote"]): Promise<void> {
  const set = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  const lines = Object.entries(secrets).map(([key, value]) => `${key} = ${value}\n`);
  const more = lines.length === 0 ? [] : ["--stdin"];
  await ok(["remote", "add", name, kind, ...set, ...more], { stdin: lines.join("") });
}

function begin(args: readonly string[]): ChildProcess {
  return start(PB, args, { env: { ...env(), PB_HOME: home }, cwd: folder.path });
}

/** The keys of uploads that are under way. */
async function openUploads(): Promise<string[]> {
  const { settings, secrets } = (endpoints.get("sthree") as RealEndpoint).remote;
  const { access_key_id: accessKeyId = "", secret_access_key: secretAccessKey = "" } = secrets;
  const client = new S3Client({
    endpoint: String(settings.endpoint),
    region: String(settings.region),
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  const command = new ListMultipartUploadsCommand({ Bucket: String(settings.bucket) });
  const { Uploads = [] } = await client.send(command);
  client.destroy();
  return Uploads.map(({ Key = "" }) => Key).sort();
}

const beginsUpload = ({ method, url = "" }: IncomingMessage) =>
  method === "POST" && /\?uploads(=|$)/.test(url);

/** Stands before the S3 server and tells, once, of an upload that has begun there, and of which the client has not heard. */
async function startDoor(onBegun: () => void) {
  const { hostname, port } = new URL(String(endpoints.get("sthree")?.remote.settings.endpoint));
  let told = false;
  const pass = (request: IncomingMessage, response: ServerResponse) => {
    const { method, url, headers } = request;
    const onward = httpRequest({ hostname, port, method, path: url, headers }, (answer) => {
      if (beginsUpload(request) && !told) {
        told = true;
        answer.resume().on("end", onBegun);
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("error", () => onward.destroy());
    request.on("error", () => onward.destroy()).pipe(onward);
  };
  const server = createServer(pass);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

describe.skipIf(!has("sthree"))("an upload that began at S3 right before its client was killed", () => {
  test("goes when the transfer is given again", async () => {
    await writeRandomFile(folder.at("file"), 9 * MIB, "orphans");
    let child: ChildProcess | undefined;
    await using door = await startDoor(() => child?.kill("SIGKILL"));
    const { remote } = endpoints.get("sthree") as RealEndpoint;
    await addRemote("door", { ...remote, settings: { ...remote.settings, endpoint: door.endpoint } });
    const words = ["transfer", folder.at("file"), "door:/d/file", "--json"];
    child = begin(words);
    child.stdin?.end();
    expect((await exited(child))[1]).toBe("SIGKILL");
    expect(await openUploads()).toEqual(["d/file"]);
    const again = (await ok(words)).json<{ state: string }>();
    expect(again.state).toBe("done");
    expect(await openUploads()).toEqual([]);
    const copy = `${endpoints.get("sthree")?.root}/d/file`;
    expect(await sha256OfFile(copy)).toBe(await sha256OfFile(folder.at("file")));
  });
});

if (missing.length > 0) {
  test.skip(`servers that are not here (SKIPPED: ${missing.join("; ")})`, () => {});
}
