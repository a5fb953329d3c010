/** Of who wants names alone a server hears one question for a folder. */
import { expect, onTestFinished, test } from "vitest";
import type { EndpointConfig } from "../model/endpoint.ts";
import type { Backend } from "./backend.ts";
import { collect, never } from "./conformance/fixture.ts";
import { openHttp } from "./http/backend.ts";
import { openS3 } from "./s3/backend.ts";
import { webServer } from "./testing/web-server.ts";

const tools = { name: "far", home: "/nonexistent", env: {} };
const INDEX = '<title>Index of /</title><a href="a">a</a><a href="b">b</a><a href="d/">d/</a>';
const object = (key: string) =>
  `<Contents><Key>${key}</Key><Size>5</Size><ETag>"e"</ETag><LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>`;
const BUCKET = `<ListBucketResult><IsTruncated>false</IsTruncated>${object("a")}${object("b")}<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListBucketResult>`;

async function server(page: string, type: string) {
  const web = await webServer(({ method, url }, response) => {
    const isFile = /[ab]$/.test(new URL(url ?? "", "http://x").pathname);
    const headers = isFile ? { "content-length": 5, etag: '"e"' } : { "content-type": type };
    response.writeHead(200, headers).end(method === "HEAD" ? undefined : isFile ? "12345" : page);
  });
  onTestFinished(() => web[Symbol.asyncDispose]());
  return web;
}

const config = (kind: EndpointConfig["kind"], settings: EndpointConfig["settings"]): EndpointConfig => ({
  kind,
  settings,
  secret: async () => undefined,
});

test.each([
  ["http", INDEX, "text/html", (url: string) => openHttp(config("http", { url }), tools)],
  [
    "s3",
    BUCKET,
    "application/xml",
    (url: string) => openS3(config("s3", { endpoint: url, bucket: "z", anonymous: true }), tools),
  ],
] as const)("%s", async (_name, page, type, open: (url: string) => Promise<Backend>) => {
  const web = await server(page, type);
  const backend = await open(web.url);
  onTestFinished(() => backend.close());
  const files = () => web.requests.filter(({ url }) => /\/[ab]$/.test(url)).length;
  const look = async (namesOnly: boolean) => {
    const options = { recursive: false, follow: false, namesOnly, signal: never };
    const { entries } = await collect(backend.list("", options));
    return entries.map(({ path, kind }) => `${kind} ${path}`);
  };
  expect(await look(true)).toEqual(["file a", "file b", "directory d"]);
  expect(files()).toBe(0);
  expect(await look(false)).toEqual(["file a", "file b", "directory d"]);
  expect(files()).toBe(2);
});
