/** Small files of web servers that go past JavaScript, and what a server says that it has to ask about again. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type WebServer, webServer } from "../backend/testing/web-server.ts";
import { type Ended, type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

const COUNT = 40;
const NAMES = Array.from({ length: COUNT }, (_, at) => `file-${at}`);
const contentOf = (name: string) => Buffer.from(`${name} `.repeat(1 + Number(name.slice(5)) * 20));

/** What a server does with a GET of a file before it answers as it should; true: it has answered. */
type Trick = (name: string, response: ServerResponse, request: IncomingMessage) => boolean;

let trick: Trick = () => false;

function answer(request: IncomingMessage, response: ServerResponse): void {
  const name = (request.url ?? "").split("/").at(-1) ?? "";
  if (name === "") {
    const links = NAMES.map(
      (each) => `<a href="${each}">${each}</a>   01-Jan-2026 00:00   ${contentOf(each).length}\n`,
    );
    response.writeHead(200, { "content-type": "text/html" }).end(links.join(""));
    return;
  }
  if (trick(name, response, request)) return;
  const content = contentOf(name);
  response.writeHead(200, { etag: `"${name}"`, "content-length": content.length });
  response.end(request.method === "HEAD" ? undefined : content);
}

let server: WebServer;
let other: WebServer;
let loop: Loopback;
let count = 0;
const web: Record<string, Readonly<Record<string, string>>> = {};

beforeAll(async () => {
  server = await webServer(answer);
  other = await webServer(answer);
  loop = await startLoopback({ web });
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function copied(tricks: Trick): Promise<Ended & { readonly to: string }> {
  count += 1;
  const to = loop.at(`copy${count}`);
  const from = "abcdefghijklmnopqrst".charAt(count);
  web[from] = { url: server.url };
  trick = tricks;
  for (const { requests } of [server, other]) (requests as unknown[]).length = 0;
  return { ...(await transfer(loop, { from: `${from}:/`, to })), to };
}

async function isWhole({ receipt, to }: Ended & { readonly to: string }): Promise<void> {
  expect(receipt).toMatchObject({ state: "done", files: BigInt(COUNT), errors: [] });
  expect((await readdir(to)).sort()).toEqual([...NAMES].sort());
  for (const name of NAMES) expect(await readFile(`${to}/${name}`)).toEqual(contentOf(name));
}

const files = () => server.requests.filter(({ url }) => url !== "/");
/** undici sends "connection: keep-alive", the engine no such thing. */
const past = () => files().filter(({ headers }) => headers.connection === undefined);

it("are asked for once, by the engine", async () => {
  await isWhole(await copied(() => false));
  expect([files().length, past().length]).toEqual([COUNT, COUNT]);
  expect(past()[0]?.headers).toMatchObject({ "accept-encoding": "identity", "user-agent": "packetboat" });
});

it("are asked for again where a connection ends or a server is busy", async () => {
  const seen = new Set<string>();
  const fails: Trick = (name, response, request) => {
    const at = Number(name.slice(5)) % 4;
    if (at === 3 || seen.has(name)) return false;
    seen.add(name);
    if (at === 0) request.socket.destroy();
    else if (at === 1) response.writeHead(503, { "retry-after": "0", "content-length": 0 }).end();
    else {
      response.writeHead(200, { "content-length": contentOf(name).length });
      response.write(contentOf(name).subarray(0, 3), () => request.socket.destroy());
    }
    return true;
  };
  await isWhole(await copied(fails));
});

it("come in another way from a server that tells no length, which is not asked for each of them twice", async () => {
  const chunked: Trick = (name, response) => {
    response.writeHead(200, { "transfer-encoding": "chunked" });
    response.end(contentOf(name));
    return true;
  };
  await isWhole(await copied(chunked));
  expect(past().length).toBeGreaterThan(0);
  // Those that were under way when it was found out.
  expect(past().length).toBeLessThan(COUNT);
});

it("follow the server to another, without what is for the first alone", async () => {
  const sentOn: Trick = (name, response, request) => {
    if (`http://${request.headers.host}/` !== server.url) return false;
    response.writeHead(302, { location: `${other.url}moved/${name}`, "content-length": 0 }).end();
    return true;
  };
  await isWhole(await copied(sentOn));
  expect(other.requests.filter(({ url }) => url.startsWith("/moved/")).length).toBe(COUNT);
});

it("are compared with the digest that the server says", async () => {
  const digest = (bytes: Buffer) => `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`;
  const says =
    (wrong: string): Trick =>
    (name, response) => {
      const content = contentOf(name);
      const said = digest(name === wrong ? Buffer.from("something else") : content);
      response.writeHead(200, { "repr-digest": said, "content-length": content.length }).end(content);
      return true;
    };
  const right = await copied(says(""));
  await isWhole(right);
  expect(right.receipt?.verified).toContain("sha256");
  expect(past().length).toBe(COUNT);
  const { receipt, to } = await copied(says("file-7"));
  expect(
    receipt?.errors.map(({ code, path }) => [code, Buffer.from(path).toString().split("/").at(-1)]),
  ).toEqual([["verification_failed", "file-7"]]);
  expect(await readdir(to)).not.toContain("file-7");
});
