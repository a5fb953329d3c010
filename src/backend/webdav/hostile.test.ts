/** WebDAV servers that lie (T1, T2): refused, and never told who we are when it is not them. */
import { expect, test } from "vitest";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import type { Backend } from "../backend.ts";
import { collect, never, refused } from "../conformance/fixture.ts";
import { webServer } from "../testing/web-server.ts";
import { openWebdav } from "./backend.ts";

function open(url: string): Promise<Backend> {
  const config: EndpointConfig = {
    kind: "webdav",
    settings: { url, user: "sailor", keeps_times: true },
    secret: async (name) => (name === "password" ? new Secret("hidden treasure") : undefined),
  };
  return openWebdav(config, { name: "dav", home: "/nonexistent", env: {} });
}

const FOLDER =
  "<D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>";
const FILE =
  "<D:propstat><D:prop><D:resourcetype/><D:getcontentlength>3</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>";
const response = (href: string, what = FILE) => `<D:response><D:href>${href}</D:href>${what}</D:response>`;
const multistatus = (...responses: string[]) =>
  `<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">${responses.join("")}</D:multistatus>`;

const listOf = (backend: Backend) =>
  collect(backend.list("", { recursive: true, follow: false, signal: never }));

test("names that lead elsewhere are errors", async () => {
  const hrefs = [
    "/../etc/passwd",
    "/a/b",
    "..%2f..%2fx",
    "%2e%2e/%2e%2e/x",
    "http://elsewhere/x",
    "/good",
    "/%00",
  ];
  await using server = await webServer((_request, answer) => {
    answer.writeHead(207).end(multistatus(response("/", FOLDER), ...hrefs.map((href) => response(href))));
  });
  await using backend = await open(server.url);
  const { entries, errors } = await listOf(backend);
  // "%2e%2e" is ".." to every reader of URLs: /x.
  expect(entries.map(({ path }) => path)).toEqual(["good", "x"]);
  expect(errors.map(({ code }) => code)).toEqual(Array.from({ length: 5 }, () => "path_escapes"));
});

test("an answer that is no multistatus, or brings entities of its own", async () => {
  const bomb = `<!DOCTYPE x [<!ENTITY a "aaaa">]>${multistatus(response("/", FOLDER))}`;
  for (const [status, text] of [
    [200, "<html>welcome</html>"],
    [207, "no XML <"],
    [207, bomb],
    [207, multistatus()],
  ] as const) {
    await using server = await webServer((_request, answer) => answer.writeHead(status).end(text));
    await using backend = await open(server.url);
    await refused("protocol_violation", backend.stat("", { follow: true, signal: never }));
  }
});

test("an upload is not sent on, and no password goes elsewhere", async () => {
  await using other = await webServer((_request, answer) => answer.writeHead(201).end());
  await using server = await webServer((request, answer) => {
    if (request.method === "PROPFIND") answer.writeHead(207).end(multistatus(response("/", FOLDER)));
    else answer.writeHead(307, { location: `${other.url}there` }).end();
  });
  await using backend = await open(server.url);
  if (backend.native.kind !== "chunks") throw new TypeError("no chunks");
  const meta = { mtimeNs: 0n };
  await using sink = await backend.native.chunks.create("f", { size: 3, meta, sync: false, signal: never });
  const written = sink.write(0, [Buffer.from("abc")], never).then(() => sink.commit(never));
  await refused("permission_denied", written);
  expect(other.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  expect(other.requests.filter(({ method }) => method === "PUT")).toEqual([]);
});

test("a PUT is of a whole file, with its time, and never has a Content-Range", async () => {
  await using server = await webServer((request, answer) => {
    if (request.method === "PROPFIND") answer.writeHead(207).end(multistatus(response("/f")));
    else answer.writeHead(201).end();
  });
  await using backend = await open(server.url);
  if (backend.native.kind !== "chunks") throw new TypeError("no chunks");
  const options = { size: 3, meta: { mtimeNs: 1_600_000_000_500_000_000n }, sync: false, signal: never };
  await using sink = await backend.native.chunks.create("f", options);
  await sink.write(0, [Buffer.from("ab")], never);
  await sink.write(2, [Buffer.from("c")], never);
  expect(await sink.commit(never)).toEqual({ how: "size" });
  const puts = server.requests.filter(({ method }) => method === "PUT");
  expect(puts).toHaveLength(1);
  expect(puts[0]?.url).toMatch(/^\/\.pb-[0-9a-f]{16}\.part$/);
  expect(puts[0]?.headers).toMatchObject({ "content-length": "3", "x-oc-mtime": "1600000000" });
  expect(puts[0]?.headers["content-range"]).toBeUndefined();
  const [move] = server.requests.filter(({ method }) => method === "MOVE");
  expect(move?.headers).toMatchObject({ destination: `${server.url}f`, overwrite: "T" });
});

test("a server that has less than was sent", async () => {
  await using server = await webServer((request, answer) => {
    if (request.method === "PROPFIND") answer.writeHead(207).end(multistatus(response("/f")));
    else answer.writeHead(201).end();
  });
  await using backend = await open(server.url);
  if (backend.native.kind !== "chunks") throw new TypeError("no chunks");
  const options = { size: 5, meta: { mtimeNs: 0n }, sync: false, signal: never };
  const sink = await backend.native.chunks.create("f", options);
  await sink.write(0, [Buffer.from("abcde")], never);
  await refused("verification_failed", sink.commit(never));
  await sink[Symbol.asyncDispose]();
  expect(server.requests.at(-1)?.method).toBe("DELETE");
  expect(server.requests.some(({ method }) => method === "MOVE")).toBe(false);
});

test("a small file of which the server keeps less than it takes is refused, and gets no final name", async () => {
  await using server = await webServer((request, answer) => {
    request.resume().on("end", () => {
      const { method, url = "" } = request;
      if (method === "PROPFIND") answer.writeHead(207).end(multistatus(response(url)));
      else answer.writeHead(method === "DELETE" ? 204 : 201).end();
    });
  });
  await using backend = await open(server.url);
  if (backend.native.kind !== "chunks") throw new TypeError("no chunks");
  const { chunks } = backend.native;
  const options = { meta: { mtimeNs: 0n }, sync: false, signal: never };
  await refused("verification_failed", chunks.writeWhole("f", Buffer.from("abcd"), options));
  expect(server.requests.map(({ method }) => method)).toEqual(["PUT", "PROPFIND", "DELETE"]);
  expect(await chunks.writeWhole("f", Buffer.from("abc"), options)).toEqual({ how: "size" });
});
