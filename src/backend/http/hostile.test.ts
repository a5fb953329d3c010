/** Servers that lie (T1, T2 of the threats): refused or healed, and never told who we are when it is not them. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import type { Backend } from "../backend.ts";
import type { ChunkAccess } from "../chunks.ts";
import { collect, never, refused } from "../conformance/fixture.ts";
import { type WebServer, webServer } from "../testing/web-server.ts";
import { openHttp } from "./backend.ts";

const CONTENT = Buffer.from("0123456789".repeat(100));

async function open(url: string): Promise<Backend & { readonly chunks: ChunkAccess }> {
  const config: EndpointConfig = {
    kind: "http",
    settings: { url, user: "sailor" },
    secret: async (name) => (name === "password" ? new Secret("hidden treasure") : undefined),
  };
  const backend = await openHttp(config, { name: "web", home: "/nonexistent", env: {} });
  if (backend.native.kind !== "chunks") throw new TypeError("no chunks");
  return Object.assign(backend, { chunks: backend.native.chunks });
}

const KNOWN = { size: CONTENT.length, mtimeNs: 0n };

interface Honest {
  readonly etag?: string;
  readonly content?: Buffer;
}

/** What an honest server with ranges answers. */
function honest(
  request: IncomingMessage,
  response: ServerResponse,
  { etag = '"one"', content = CONTENT }: Honest = {},
): void {
  const headers = { etag, "accept-ranges": "bytes" };
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const valid = request.headers["if-range"] === undefined || request.headers["if-range"] === etag;
  const [from, to] = range && valid ? [Number(range[1]), Number(range[2])] : [0, content.length - 1];
  const part = content.subarray(from, to + 1);
  const partial = range && valid ? { "content-range": `bytes ${from}-${to}/${content.length}` } : {};
  response.writeHead(range && valid ? 206 : 200, { ...headers, ...partial, "content-length": part.length });
  response.end(request.method === "HEAD" ? undefined : part);
}

async function readAt(chunks: ChunkAccess, offset: number, length: number): Promise<string> {
  await using source = await chunks.open("f", { known: KNOWN, signal: never });
  const into = Buffer.alloc(length);
  await source.read(offset, into, never);
  return into.toString();
}

test("a server that answers a range with all of it is healed", async () => {
  await using server = await webServer((request, response) => {
    delete request.headers.range;
    honest(request, response);
  });
  await using backend = await open(server.url);
  expect(await readAt(backend.chunks, 995, 5)).toBe("56789");
});

test("a server that answers another range is refused", async () => {
  await using server = await webServer((request, response) => {
    if (request.headers.range) request.headers.range = "bytes=10-14";
    honest(request, response);
  });
  await using backend = await open(server.url);
  await refused("protocol_violation", readAt(backend.chunks, 995, 5));
});

test("a file that changes between two ranges", async () => {
  let etag = '"one"';
  await using server = await webServer((request, response) => honest(request, response, { etag }));
  await using backend = await open(server.url);
  await using source = await backend.chunks.open("f", { known: KNOWN, signal: never });
  await source.read(0, Buffer.alloc(10), never);
  etag = '"two"';
  await refused("source_changed", source.read(10, Buffer.alloc(10), never));
});

test("a range of another version than was asked for, in spite of If-Range", async () => {
  let etag = '"one"';
  await using server = await webServer((request, response) => {
    delete request.headers["if-range"];
    honest(request, response, { etag });
  });
  await using backend = await open(server.url);
  await using source = await backend.chunks.open("f", { known: KNOWN, signal: never });
  etag = '"two"';
  await refused("source_changed", source.read(10, Buffer.alloc(10), never));
});

test("a connection that ends in the middle of a range may be tried again", async () => {
  let cut = true;
  await using server = await webServer((request, response) => {
    if (!cut || request.headers.range === undefined) return honest(request, response);
    cut = false;
    response.writeHead(206, { etag: '"one"', "content-range": "bytes 0-9/1000", "content-length": 10 });
    response.write("01234", () => response.destroy());
  });
  await using backend = await open(server.url);
  const error = await refused("connection_lost", readAt(backend.chunks, 0, 10));
  expect(error.retryable).toBe(true);
  expect(await readAt(backend.chunks, 0, 10)).toBe("0123456789");
});

test("more bytes than the length that was said never come through", async () => {
  await using server = await webServer((request, response) => {
    if (request.headers.range === undefined) return honest(request, response);
    response.writeHead(206, { etag: '"one"', "content-range": "bytes 0-9/1000" });
    response.end("0123456789 and more");
  });
  await using backend = await open(server.url);
  await refused("protocol_violation", readAt(backend.chunks, 0, 10));
});

test("a digest that does not fit", async () => {
  await using server = await webServer((_request, response) => {
    response.setHeader("repr-digest", "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:");
    response.end(CONTENT);
  });
  await using backend = await open(server.url);
  const whole = backend.chunks.readWhole("f", Buffer.alloc(CONTENT.length), { known: KNOWN, signal: never });
  await refused("verification_failed", whole);
});

test("names that lead elsewhere are left out, or errors", async () => {
  const page =
    '<a href="/../etc/x">x</a><a href="/etc/passwd">p</a><a href="..%2f..%2fx">enc</a><a href="good">g</a>';
  await using server = await webServer((request, response) => {
    if (request.url !== "/") return honest(request, response);
    response.setHeader("content-type", "text/html");
    response.end(page);
  });
  await using backend = await open(server.url);
  const listed = await collect(backend.list("", { recursive: true, follow: false, signal: never }));
  expect(listed.entries.map(({ path }) => path)).toEqual(["good"]);
  expect(listed.errors.map(({ code }) => code)).toEqual(["path_escapes"]);
});

const secretsSeenBy = ({ requests }: WebServer) =>
  requests.filter(({ headers }) => headers.authorization !== undefined);

test("another host gets no password", async () => {
  await using other = await webServer((request, response) => honest(request, response));
  await using server = await webServer((_request, response) => {
    response.writeHead(302, { location: `${other.url}elsewhere` }).end();
  });
  await using backend = await open(server.url);
  expect(await readAt(backend.chunks, 0, 10)).toBe("0123456789");
  expect(other.requests.length).toBeGreaterThan(0);
  expect(secretsSeenBy(other)).toEqual([]);
  expect(secretsSeenBy(server).length).toBe(server.requests.length);
});

test("a chain of redirects without end, and one to what is no web address", async () => {
  await using server = await webServer((request, response) => {
    response.writeHead(302, { location: request.url === "/f" ? "/g" : "/f" }).end();
  });
  await using backend = await open(server.url);
  await refused("permission_denied", readAt(backend.chunks, 0, 10));
  await using strange = await webServer((_request, response) => {
    response.writeHead(302, { location: "file:///etc/passwd" }).end();
  });
  await using second = await open(strange.url);
  await refused("permission_denied", readAt(second.chunks, 0, 10));
});

test.each([
  [401, "unauthenticated", false],
  [403, "permission_denied", false],
  [429, "resource_exhausted", true],
  [503, "resource_exhausted", true],
  [500, "io_error", true],
  [507, "no_space", false],
] as const)("status %i is %s", async (status, code, retryable) => {
  await using server = await webServer((_request, response) => {
    response.writeHead(status, { "retry-after": "7" }).end();
  });
  await using backend = await open(server.url);
  const error = await refused(code, backend.stat("f", { follow: true, signal: never }));
  expect(error).toMatchObject({ retryable, retryAfterMs: 7_000, peer: "web" });
  expect(JSON.stringify(error) + error.message).not.toContain("treasure");
});

test("nobody there", async () => {
  const server = await webServer(() => {});
  await server[Symbol.asyncDispose]();
  await using backend = await open(server.url);
  const error = await refused("unreachable", backend.stat("f", { follow: true, signal: never }));
  expect(error.retryable).toBe(true);
});

test("a refusal that does not end", async () => {
  await using server = await webServer((_request, response) => {
    response.writeHead(404);
    const more = () =>
      response.write(Buffer.alloc(64 * 1024), () => response.destroyed || setImmediate(more));
    more();
  });
  await using backend = await open(server.url);
  const read = backend.chunks.readWhole("f", new Uint8Array(10), { known: KNOWN, signal: never });
  await refused("not_found", read);
});

test("a small file that is longer, or shorter, than it was", async () => {
  await using server = await webServer((_request, response) => {
    // Without a length.
    response.writeHead(200).end(CONTENT);
  });
  await using backend = await open(server.url);
  for (const size of [CONTENT.length - 1, CONTENT.length + 1]) {
    const read = backend.chunks.readWhole("f", new Uint8Array(size), {
      known: { size, mtimeNs: 0n },
      signal: never,
    });
    await refused("source_changed", read);
  }
});

test("a small file of which the server keeps less than it takes is refused", async () => {
  await using server = await webServer((request, response) => {
    request.resume().on("end", () => {
      if (request.method === "PUT") response.writeHead(201).end();
      else response.writeHead(200, { "content-length": 2 }).end();
    });
  });
  await using backend = await open(server.url);
  const options = { meta: { mtimeNs: 0n }, sync: false, signal: never };
  await refused("verification_failed", backend.chunks.writeWhole("f", Buffer.from("abc"), options));
  expect(await backend.chunks.writeWhole("f", Buffer.from("ab"), options)).toEqual({ how: "size" });
});
