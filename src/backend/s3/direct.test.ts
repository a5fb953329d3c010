import { expect, test } from "vitest";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import { PbError } from "../../model/error.ts";
import type { Backend } from "../backend.ts";
import { never, refused } from "../conformance/fixture.ts";
import { webServer } from "../testing/web-server.ts";
import { openS3 } from "./backend.ts";
import { crc32Of } from "./checksums.ts";

const CONTENT = Buffer.from("some bytes");
const MTIME_NS = 1_600_000_000_123_456_789n;

function open(endpoint: string, secret: () => string | undefined = () => "key"): Promise<Backend> {
  const config: EndpointConfig = {
    kind: "s3",
    settings: { endpoint, bucket: "b" },
    secret: async (name) => {
      const text = name === "session_token" ? undefined : secret();
      return text === undefined ? undefined : new Secret(text);
    },
  };
  return openS3(config, { name: "box", home: "/nonexistent", env: {} });
}

function chunksOf({ native }: Backend) {
  if (native.kind === "chunks") return native.chunks;
  throw new TypeError("no chunks");
}

const PROPERTIES = {
  etag: '"one"',
  "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT",
  "x-amz-meta-mtime": "1600000000.123456789",
};

test("what is asked of each small object does not go through the SDK", async () => {
  const asked: string[] = [];
  await using server = await webServer((request, response) => {
    const { authorization = "", "user-agent": agent } = request.headers;
    asked.push(`${request.method} ${request.url} ${agent} ${authorization.split("=")[0]}`);
    const sum = { "x-amz-checksum-crc32": crc32Of(CONTENT) };
    response.writeHead(200, { ...PROPERTIES, ...sum, "content-length": CONTENT.length });
    response.end(request.method === "GET" ? CONTENT : undefined);
    request.resume();
  });
  await using backend = await open(server.url);
  const chunks = chunksOf(backend);
  const there = await backend.stat("a b", { follow: true, signal: never });
  expect(there).toMatchObject({ size: CONTENT.length, mtimeNs: MTIME_NS, version: '"one"' });
  const into = new Uint8Array(CONTENT.length);
  const known = { size: CONTENT.length, mtimeNs: 0n };
  expect(await chunks.readWhole("a b", into, { known, signal: never })).toEqual({
    size: CONTENT.length,
    mtimeNs: MTIME_NS,
    version: '"one"',
    confirmed: { how: "hash", algorithm: "crc32" },
  });
  expect(Buffer.from(into)).toEqual(CONTENT);
  const signed = "packetboat AWS4-HMAC-SHA256 Credential";
  expect(asked).toEqual([`HEAD /b/a%20b ${signed}`, `GET /b/a%20b ${signed}`]);
});

test.each(["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])(
  "an object that does not have the %s that the server says",
  async (algorithm) => {
    await using server = await webServer((_request, response) => {
      const sum = { [`x-amz-checksum-${algorithm}`]: "AAAAAA==" };
      response.writeHead(200, { ...sum, "content-length": CONTENT.length }).end(CONTENT);
    });
    await using backend = await open(server.url);
    const known = { size: CONTENT.length, mtimeNs: 0n };
    const read = chunksOf(backend).readWhole("f", new Uint8Array(CONTENT.length), { known, signal: never });
    expect((await refused("verification_failed", read)).retryable).toBe(true);
  },
);

test("a key that was rotated is used by the next request", async () => {
  const ids: string[] = [];
  await using server = await webServer((request, response) => {
    ids.push(/Credential=(\w+)/.exec(request.headers.authorization ?? "")?.[1] ?? "");
    response.writeHead(200, { ...PROPERTIES, "content-length": 1 }).end();
  });
  let key = "first";
  await using backend = await open(server.url, () => key);
  await backend.stat("f", { follow: true, signal: never });
  key = "second";
  await backend.stat("f", { follow: true, signal: never });
  expect(ids).toEqual(["first", "second"]);
});

test("a key that is out of reach at first is asked for again", async () => {
  await using server = await webServer((_request, response) => {
    response.writeHead(200, { ...PROPERTIES, "content-length": 1 }).end();
  });
  let asked = 0;
  const secret = () => {
    asked += 1;
    // The first is the question whether there is one.
    if (asked > 1 && asked < 4) throw new TypeError("locked");
    return "key";
  };
  await using backend = await open(server.url, secret);
  await expect(backend.stat("f", { follow: true, signal: never })).rejects.toThrow();
  expect((await backend.stat("f", { follow: true, signal: never })).size).toBe(1);
});

test("a refusal of keys that were changed meanwhile may be repeated, one of the present ones not", async () => {
  let key = "old";
  let accepted = "new";
  await using server = await webServer((request, response) => {
    const isRight = request.headers.authorization?.includes(`Credential=${accepted}/`);
    // Rotated while the request was under way.
    key = "new";
    const length = { "content-length": isRight ? CONTENT.length : 0 };
    response.writeHead(isRight ? 200 : 403, isRight ? { ...PROPERTIES, ...length } : length).end();
  });
  await using backend = await open(server.url, () => key);
  const stat = () =>
    backend.stat("f", { follow: true, signal: never }).catch((cause: unknown) => PbError.from(cause));
  expect(await stat()).toMatchObject({ code: "permission_denied", retryable: true });
  expect(await stat()).toMatchObject({ size: CONTENT.length });
  accepted = "another";
  expect(await stat()).toMatchObject({ code: "permission_denied", retryable: false });
});
