/** What a killed process began at S3 and did not record goes, and nothing of anybody else's. */
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { available, type S3Server, startVersitygw } from "../../../test/servers/versitygw.ts";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import type { Backend } from "../backend.ts";
import type { ChunkAccess } from "../chunks.ts";
import { never } from "../conformance/fixture.ts";
import { type WebServer, webServer } from "../testing/web-server.ts";
import { retryingChunks } from "../wrap/retrying.ts";
import { openS3 } from "./backend.ts";

const BEGUN_MS = Date.parse("2026-01-02T03:04:05Z");
const MINUTE_MS = 60_000;
const BUCKET = "uploads";

function open(settings: EndpointConfig["settings"], keys: readonly [string, string]): Promise<Backend> {
  const [id, key] = keys;
  const secrets: Readonly<Record<string, string>> = { access_key_id: id, secret_access_key: key };
  const secret = async (name: string) =>
    secrets[name] === undefined ? undefined : new Secret(secrets[name]);
  return openS3({ kind: "s3", settings, secret }, { name: "box", home: "/nonexistent", env: {} });
}

function chunksOf({ native }: Backend): ChunkAccess {
  if (native.kind === "chunks") return native.chunks;
  throw new TypeError("no chunks");
}

async function removeBegun(
  box: Backend,
  path: string,
  when: { readonly sinceMs: number; readonly untilMs?: number },
): Promise<void> {
  await retryingChunks(chunksOf(box), { baseMs: 1 }).removeBegun?.(path, { ...when, signal: never });
}

interface Upload {
  readonly id: string;
  readonly key: string;
  readonly begunMs: number;
  /** As the server answers what parts it has: 404 of one that is gone. */
  readonly parts: number | "gone";
}

/** Of a server whose listing has one upload a page. */
function answerTo(uploads: readonly Upload[]): Parameters<typeof webServer>[0] {
  return (request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://x");
    const answer = (status: number, body: string) =>
      response.writeHead(status, { "content-type": "application/xml" }).end(`<?xml version="1.0"?>${body}`);
    const id = searchParams.get("uploadId");
    if (request.method === "DELETE") return void response.writeHead(204).end();
    if (id === null) return void answer(200, page(uploads, searchParams.get("upload-id-marker")));
    const { parts } = uploads.find((each) => each.id === id) ?? { parts: "gone" };
    if (parts === "gone") return void answer(404, "<Error><Code>NoSuchUpload</Code></Error>");
    const part = "<Part><PartNumber>1</PartNumber><Size>1</Size><ETag>x</ETag></Part>".repeat(parts);
    answer(200, `<ListPartsResult><IsTruncated>false</IsTruncated>${part}</ListPartsResult>`);
  };
}

function page(uploads: readonly Upload[], after: string | null): string {
  const at = uploads.findIndex(({ id }) => id === after) + 1;
  const { id, key, begunMs } = uploads[at] as Upload;
  const encoded = encodeURIComponent(key);
  const initiated = new Date(begunMs).toISOString();
  const upload = `<Upload><Key>${encoded}</Key><UploadId>${id}</UploadId><Initiated>${initiated}</Initiated></Upload>`;
  const next = `<NextKeyMarker>${encoded}</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>`;
  const isLast = at === uploads.length - 1;
  return `<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>${!isLast}</IsTruncated>${isLast ? "" : next}${upload}</ListMultipartUploadsResult>`;
}

const aborted = ({ requests }: WebServer) =>
  requests.flatMap(({ method, url }) => {
    const { pathname, searchParams } = new URL(url, "http://x");
    return method === "DELETE" ? [`${pathname} ${searchParams.get("uploadId")}`] : [];
  });

test("uploads that another began, that have parts, or that are of another key, stay", async () => {
  const at = { key: "d/a b", begunMs: BEGUN_MS, parts: 0 } as const;
  await using server = await webServer(
    answerTo([
      { ...at, id: "before", begunMs: BEGUN_MS - 2 * MINUTE_MS },
      { ...at, id: "mine" },
      { ...at, id: "filled", parts: 1 },
      { ...at, id: "gone", parts: "gone" },
      { ...at, id: "mine-too", begunMs: BEGUN_MS + MINUTE_MS },
      { ...at, id: "of-now", begunMs: BEGUN_MS + 3 * MINUTE_MS },
      { ...at, id: "of-another", key: "d/a b/c" },
      { ...at, id: "further", key: "d/a b/d" },
    ]),
  );
  await using box = await open({ endpoint: server.url, bucket: "b" }, ["SAILOR", "hidden treasure"]);
  await removeBegun(box, "d/a b", { sinceMs: BEGUN_MS, untilMs: BEGUN_MS + MINUTE_MS });
  expect(aborted(server)).toEqual(["/b/d/a%20b mine", "/b/d/a%20b mine-too"]);
  // Those that are not of the key, too old or too young, are not even asked about; of others' keys one is seen.
  const asked = server.requests.map(({ url }) => /uploadId=([^&]*)/.exec(url)?.[1]);
  expect(asked.filter((id) => ["before", "of-now", "of-another", "further"].includes(id ?? ""))).toEqual([]);
  expect(server.requests.some(({ url }) => url.includes("upload-id-marker=of-another"))).toBe(false);
});

test("a listing that does not end is ended", async () => {
  const upload = { id: "same", key: "f", begunMs: 0, parts: 0 } as const;
  await using server = await webServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/xml" }).end(page([upload, upload], null));
  });
  await using box = await open({ endpoint: server.url, bucket: "b" }, ["SAILOR", "hidden treasure"]);
  await expect(removeBegun(box, "f", { sinceMs: BEGUN_MS })).rejects.toMatchObject({
    code: "protocol_violation",
  });
});

const begun =
  '<?xml version="1.0"?><InitiateMultipartUploadResult><UploadId>ID</UploadId></InitiateMultipartUploadResult>';

const large = { size: 9 << 20, meta: { mtimeNs: 0n }, sync: false };

test("one whose answer comes when its caller has gone is given up", async () => {
  const stop = new AbortController();
  await using server = await webServer((request, response) => {
    if (request.method === "DELETE") return void response.writeHead(204).end();
    stop.abort();
    setTimeout(() => response.writeHead(200).end(begun.replace("ID", "late")), 50);
  });
  await using box = await open({ endpoint: server.url, bucket: "b" }, ["SAILOR", "hidden treasure"]);
  const sink = chunksOf(box).create("f", { ...large, signal: stop.signal });
  await expect(sink).rejects.toMatchObject({ code: "aborted" });
  expect(aborted(server)).toEqual(["/b/f late"]);
});

test("one whose answer is lost is given up by the next try", async () => {
  const uploads: Upload[] = [];
  let tries = 0;
  await using server = await webServer((request, response) => {
    if (request.method !== "POST") return void answerTo(uploads)(request, response);
    tries += 1;
    if (tries === 2) return void response.writeHead(200).end(begun.replace("ID", "second"));
    uploads.push({ id: "lost", key: "f", begunMs: Date.now(), parts: 0 });
    request.socket.destroy();
  });
  await using box = await open({ endpoint: server.url, bucket: "b" }, ["SAILOR", "hidden treasure"]);
  const chunks = retryingChunks(chunksOf(box), { baseMs: 1 });
  await using sink = await chunks.create("f", { ...large, signal: never });
  expect(Buffer.from(sink.leaves ?? []).toString()).toContain("second");
  expect(aborted(server)).toEqual(["/b/f lost"]);
});

const why = available();

describe.skipIf(why !== undefined)(`at a real server${why ? ` (SKIPPED: ${why})` : ""}`, () => {
  let server: S3Server;
  let client: S3Client;

  beforeAll(async () => {
    server = await startVersitygw();
    const { endpoint, region } = server;
    client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: server });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  });
  afterAll(async () => {
    client?.destroy();
    await server?.stop();
  });

  async function begin(Key: string): Promise<string> {
    const { UploadId = "" } = await client.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key }));
    return UploadId;
  }

  test("the empty ones of the key go", async () => {
    const at = { Bucket: BUCKET, Key: "d/file" };
    await begin(at.Key);
    const filled = await begin(at.Key);
    await client.send(new UploadPartCommand({ ...at, UploadId: filled, PartNumber: 1, Body: "x" }));
    await begin(at.Key);
    const beside = await begin("d/file-2");
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    await using box = await open({ endpoint, region, bucket: BUCKET }, [accessKeyId, secretAccessKey]);
    const left = async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
      return Uploads.map(({ UploadId = "" }) => UploadId).sort();
    };
    await removeBegun(box, at.Key, { sinceMs: Date.now() + 2 * MINUTE_MS });
    expect(await left()).toHaveLength(4);
    await removeBegun(box, at.Key, { sinceMs: Date.now() });
    expect(await left()).toEqual([filled, beside].sort());
  });
});
