import { writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { available, type S3Server, startVersitygw } from "../../../test/servers/versitygw.ts";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import { chunkSuite } from "../conformance/chunks.ts";
import { CANARY, type Fixture, type Place } from "../conformance/fixture.ts";
import { backendSuite } from "../conformance/suite.ts";
import { openS3 } from "./backend.ts";

let server: S3Server;
let client: S3Client;

function config(
  given: EndpointConfig["settings"] = {},
  wrong: Readonly<Record<string, string>> = {},
): EndpointConfig {
  const secrets: Readonly<Record<string, string>> = {
    access_key_id: server.accessKeyId,
    secret_access_key: server.secretAccessKey,
    ...wrong,
  };
  return {
    kind: "s3",
    settings: { endpoint: server.endpoint, region: server.region, ...given },
    secret: async (name) => (secrets[name] === undefined ? undefined : new Secret(secrets[name])),
  };
}

const tools = { name: "box", home: "/nonexistent", env: {} };

/** Looks and prepares behind the backend's back, by a client of its own. */
async function place(bucket: string): Promise<Place & AsyncDisposable> {
  const top = await mkdtemp(join(tmpdir(), "pb-s3-"));
  const canary = join(top, "outside/canary");
  await mkdir(dirname(canary));
  await writeFile(canary, CANARY);
  const put = (key: string, content: string) =>
    client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content }));
  const write = async (path: string, content: string) => {
    const parts = path.split("/");
    // Folders that stay when what is in them goes, as on a disk.
    for (let n = 1; n < parts.length; n += 1) await put(`${parts.slice(0, n).join("/")}/`, "");
    await put(path, content);
  };
  return {
    canary,
    write,
    // Behind the server's back: ten thousand requests would take most of the test.
    async fill(folder, count) {
      await put(`${folder}/`, "");
      for (let n = 0; n < count; n += 1) writeFileSync(join(server.data, bucket, folder, `${n}`), "");
    },
    link: () => Promise.reject(new Error("no links here")),
    async read(path) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: path }));
      return (await Body?.transformToString()) ?? "";
    },
    async exists(path) {
      if (path.startsWith("../"))
        return readFile(join(top, path.slice(3))).then(
          () => true,
          () => false,
        );
      for (const Key of [path, `${path}/`]) {
        const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key })).then(
          () => true,
          () => false,
        );
        if (found) return true;
      }
      return false;
    },
    [Symbol.asyncDispose]: () => rm(top, { recursive: true, force: true }),
  };
}

let buckets = 0;

async function open(): Promise<Fixture> {
  buckets += 1;
  const bucket = `bucket-${buckets}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const backend = await openS3(config({ bucket }), tools);
  const behind = await place(bucket);
  return {
    backend,
    place: behind,
    async [Symbol.asyncDispose]() {
      await backend.close();
      await behind[Symbol.asyncDispose]();
    },
  };
}

const why = available();

describe.skipIf(why !== undefined)(`S3${why ? ` (SKIPPED: ${why})` : ""}`, () => {
  beforeAll(async () => {
    server = await startVersitygw();
    client = new S3Client({
      endpoint: server.endpoint,
      region: server.region,
      forcePathStyle: true,
      credentials: server,
    });
  });
  afterAll(async () => {
    client.destroy();
    await server.stop();
  });
  backendSuite("s3 (versitygw)", open, {
    links: false,
    permissions: false,
    names: "text",
    requestPerEntry: true,
    // It lists control characters as U+FFFD though asked to escape them, and answers 400 to a key with "%00".
    without: ["terminal escapes", "per cent escapes"],
  });
  it("names a bucket that is not there, and makes none on the way to a folder", async () => {
    const backend = await openS3(config({}), tools);
    onTestFinished(() => backend.close());
    const signal = new AbortController().signal;
    const missing = { code: "not_found", message: "there is no bucket nowhere" };
    await expect(backend.stat("nowhere", { follow: true, signal })).rejects.toMatchObject(missing);
    for (const parents of [true, false])
      await expect(backend.mkdir("nowhere/a/b", { parents, signal })).rejects.toMatchObject({
        code: "not_found",
      });
    await expect(backend.mkdir("nowhere/a", { parents: false, signal })).rejects.toMatchObject(missing);
    await expect(client.send(new HeadBucketCommand({ Bucket: "nowhere" }))).rejects.toThrow();
  });
  it.each(["access_key_id", "secret_access_key"])(
    "a wrong %s is told from a missing right",
    async (wrong) => {
      const { backend: right, ...fixture } = await open();
      onTestFinished(() => fixture[Symbol.asyncDispose]());
      await right.touch("f", { create: true, signal: new AbortController().signal });
      const backend = await openS3(config({ bucket: `bucket-${buckets}` }, { [wrong]: "wrong" }), tools);
      onTestFinished(() => backend.close());
      const signal = new AbortController().signal;
      for (const path of ["", "f"]) {
        const refused = { code: "unauthenticated", hint: expect.stringContaining(wrong.split("_")[0] ?? "") };
        await expect(backend.stat(path, { follow: true, signal })).rejects.toMatchObject(refused);
      }
    },
  );
  // Three parts, the last a short one.
  chunkSuite("s3 (versitygw)", open, { largeBytes: 17 * 1024 * 1024 + 1 });
});
