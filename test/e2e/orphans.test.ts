/** What `pb` killed with -9 leaves at an endpoint that forgets nothing by itself, and what removes it. */

import type { ChildProcess } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { ListMultipartUploadsCommand, ListPartsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RealEndpoint, SERVERS } from "../servers/endpoints.ts";
import { mustPass, type PbOptions, pb } from "./harness.ts";
import { exited, PB, start } from "./lib/process.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { untilTrue } from "./lib/running.ts";
import { type Scratch, scratch } from "./lib/scratch.ts";
import { leftovers } from "./lib/tree.ts";

const MIB = 1 << 20;

const endpoints = new Map<string, RealEndpoint>();
let folder: Scratch;
let home: string;
const env = () => ({ HOME: folder.at("home"), SSH_AUTH_SOCK: "" });

/** Those that have something of a file before it is whole. */
const KEEPING = SERVERS.filter(({ name }) => ["sftp", "ftp", "sthree"].includes(name));
const missing = KEEPING.flatMap(({ name, missing: why }) => (why ? [`${name}: ${why}`] : []));
const has = (name: string) => KEEPING.some((each) => each.name === name && each.missing === undefined);

beforeAll(async () => {
  folder = scratch();
  home = folder.at("home");
  for (const { name, missing: why, start: begin } of KEEPING) {
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

/** The keys of uploads that are under way; with `filled` of those that have a part. */
async function openUploads({ filled = false } = {}): Promise<string[]> {
  const { settings, secrets } = (endpoints.get("sthree") as RealEndpoint).remote;
  const { access_key_id: accessKeyId = "", secret_access_key: secretAccessKey = "" } = secrets;
  const client = new S3Client({
    endpoint: String(settings.endpoint),
    region: String(settings.region),
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  const Bucket = String(settings.bucket);
  try {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
    const keys: string[] = [];
    for (const { Key = "", UploadId } of Uploads) {
      const { Parts = [] } = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
      if (!filled || Parts.length > 0) keys.push(Key);
    }
    return keys.sort();
  } finally {
    client.destroy();
  }
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

/** Uploads and parts of files that are not whole, at a place. */
async function unfinished(name: string): Promise<number> {
  if (name === "sthree") return (await openUploads()).length;
  return (await leftovers(rootOf(name))).length;
}

const rootOf = (name: string) => (name === "here" ? folder.at("here") : (endpoints.get(name)?.root ?? ""));
const placeOf = (name: string, path: string) =>
  name === "here" ? folder.at("here", path) : `${name}:/${path}`;

/** A stream that has come to something there, and ends as it would by a lack of memory. */
async function killStream(name: string, words: readonly string[]): Promise<void> {
  const child = begin(words);
  child.stdin?.on("error", () => {});
  child.stdin?.write(Buffer.alloc(24 * MIB, "x"));
  // One that has a part is aborted by nobody who does not know that it is his.
  const begun = name === "sthree" ? () => openUploads({ filled: true }) : () => leftovers(rootOf(name));
  await untilTrue(`something unfinished at ${name}`, async () => (await begun()).length === 1);
  child.kill("SIGKILL");
  await exited(child);
  expect(await unfinished(name)).toBe(1);
}

interface ListedJob {
  readonly id: string;
  readonly state: string;
  readonly resumable: boolean;
}

const jobs = async () => (await ok(["jobs", "list", "--json"])).json<ListedJob[]>();
const interrupted = async () => (await jobs()).filter(({ state }) => state === "interrupted");

interface Receipt {
  readonly state: string;
  readonly notices: readonly { readonly code: string; readonly message: string }[];
}

/** Where a stream that is killed leaves something: other servers have nothing of a PUT until it is whole. */
const keeping = (...names: string[]) => names.filter((name) => name === "here" || has(name));

describe("a stream that was killed", () => {
  test.each(keeping("here", "sftp", "sthree"))(
    "leaves nothing at %s when the next has come to the same place",
    async (name) => {
      await mkdir(join(rootOf(name), "s"), { recursive: true });
      const words = ["transfer", "-", placeOf(name, "s/file"), "--json"];
      await killStream(name, words);
      const [killed] = await interrupted();
      const again = (await ok(words, { stdin: "a line\n" })).json<Receipt>();
      expect(again).toMatchObject({ state: "done", notices: [{ code: "stream-removed" }] });
      expect(again.notices[0]?.message).toContain(killed?.id.slice(0, 8));
      expect(await unfinished(name)).toBe(0);
      expect(await readFile(join(rootOf(name), "s/file"), "utf8")).toBe("a line\n");
      expect(await interrupted()).toEqual([]);
    },
  );

  test.each(keeping("here", "ftp", "sthree"))(
    "leaves nothing at %s when its job is forgotten",
    async (name) => {
      await mkdir(join(rootOf(name), "s"), { recursive: true });
      await killStream(name, ["transfer", "-", placeOf(name, "s/other"), "--json"]);
      const [killed, ...others] = await interrupted();
      expect([killed?.resumable, others]).toEqual([false, []]);
      const shown = await ok(["jobs", "show", killed?.id ?? ""]);
      expect(shown.stdout).toContain(`pb jobs forget ${killed?.id.slice(0, 8)}`);
      await ok(["jobs", "forget", killed?.id ?? ""]);
      expect(await unfinished(name)).toBe(0);
    },
  );
});

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

  test("of a stream goes when the next has come", async () => {
    let child: ChildProcess | undefined;
    await using door = await startDoor(() => child?.kill("SIGKILL"));
    const { remote } = endpoints.get("sthree") as RealEndpoint;
    const settings = { ...remote.settings, endpoint: door.endpoint };
    await addRemote("streamdoor", { ...remote, settings });
    const words = ["transfer", "-", "streamdoor:/d/stream", "--json"];
    child = begin(words);
    child.stdin?.on("error", () => {});
    child.stdin?.write(Buffer.alloc(MIB, "x"));
    expect((await exited(child))[1]).toBe("SIGKILL");
    expect(await openUploads()).toEqual(["d/stream"]);
    const again = (await ok(words, { stdin: "a line\n" })).json<Receipt>();
    expect(again.notices.map(({ code }) => code)).toEqual(["stream-removed"]);
    expect(await openUploads()).toEqual([]);
  });
});

if (missing.length > 0) {
  test.skip(`servers that are not here (SKIPPED: ${missing.join("; ")})`, () => {});
}
