/** A small file at an endpoint is what the receiver was told of it, by the version that the endpoint names, and read no more often than it changes. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { type WebServer, webServer } from "../backend/testing/web-server.ts";
import { type Ended, type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

const LARGE = Buffer.alloc(9_000_001, "larger than what is read whole\n");
const SMALL = ["a", "b"];

let version = "1";
/** GET names versions of small files in another way than HEAD. */
let differs = false;
/** Another version is there before the next answer about "a". */
let changesAt: "GET" | undefined;
/** Of the large file no more than so much. */
let bytesLeft = Number.POSITIVE_INFINITY;
let server: WebServer;
let loop: Loopback;

/** The index, as nginx's does. */
let tellsLengths = false;

const textOf = (name: string) => (name === "a" ? `this is version ${version} of a` : "the other");

function answer(request: IncomingMessage, response: ServerResponse): void {
  const name = (request.url ?? "").slice(1);
  if (name === "") {
    const length = (each: string) => (each === "large" ? LARGE.length : textOf(each).length);
    const told = (each: string) => (tellsLengths ? `   01-Jan-2026 00:00   ${length(each)}` : "");
    const links = [...SMALL, "large"].map((each) => `<a href="${each}">${each}</a>${told(each)}`).join("\n");
    return void response.writeHead(200, { "content-type": "text/html" }).end(links);
  }
  if (name === "a" && request.method === changesAt) {
    version = "2";
    changesAt = undefined;
  }
  const way = differs && name !== "large" ? request.method : "";
  const etag = `"${name === "a" ? version : "1"}${way}"`;
  const content = name === "large" ? LARGE : Buffer.from(textOf(name));
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  const part = from === undefined ? content : content.subarray(Number(from), Number(to) + 1);
  const range = from === undefined ? {} : { "content-range": `bytes ${from}-${to}/${content.length}` };
  response.writeHead(from === undefined ? 200 : 206, {
    etag,
    ...range,
    "accept-ranges": "bytes",
    "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    "content-length": part.length,
  });
  if (request.method === "HEAD") return void response.end();
  if (from === undefined) return void response.end(part);
  const sent = part.subarray(0, Math.max(0, bytesLeft));
  bytesLeft -= part.length;
  // Then it stands still: what breaks off would be tried again, for a time that chance decides.
  if (sent.length === part.length) response.end(part);
  else response.write(sent);
}

beforeAll(async () => {
  server = await webServer(answer);
  loop = await startLoopback({ web: { web: { url: server.url } } });
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

let to = "";
let count = 0;
beforeEach(() => {
  count += 1;
  to = loop.at(`copy${count}`);
  version = "1";
  changesAt = undefined;
  differs = false;
  tellsLengths = false;
  bytesLeft = Number.POSITIVE_INFINITY;
  forget();
});

const forget = () => {
  (server.requests as unknown[]).length = 0;
};

const read = () =>
  server.requests
    .filter(({ method, url }) => method === "GET" && SMALL.includes(url.slice(1)))
    .map(({ url }) => url.slice(1))
    .sort();

const copy = () => transfer(loop, { from: "web:/", to });

function isDone({ receipt, error }: Ended): void {
  expect({
    state: error?.message ?? receipt?.state,
    errors: receipt?.errors.map(({ message }) => message),
  }).toEqual({
    state: "done",
    errors: [],
  });
}

it("is read once where it was offered before", async () => {
  await mkdir(to);
  await writeFile(`${to}/other`, "so that the receiver is asked");
  isDone(await copy());
  expect(read()).toEqual(SMALL);
});

it.each([true, false])(
  "is what is there when it is read, changed since it was listed (offered: %s)",
  async (offered) => {
    if (offered) {
      await mkdir(to);
      await writeFile(`${to}/other`, "so that the receiver is asked");
    }
    changesAt = "GET";
    isDone(await copy());
    expect(await readFile(`${to}/a`, "utf8")).toBe("this is version 2 of a");
    expect(await readFile(`${to}/b`, "utf8")).toBe("the other");
    expect(read().filter((name) => name === "b")).toEqual(["b"]);
  },
);

it.each([false, true])("is not read again by a run that goes on (index with lengths: %s)", async (told) => {
  tellsLengths = told;
  bytesLeft = 5_000_000;
  const half = await transfer(loop, { from: "web:/", to, deadlineMs: 3_000n });
  expect(half.receipt?.errors.map(({ code }) => code)).toEqual(["timeout"]);
  bytesLeft = Number.POSITIVE_INFINITY;
  forget();
  const done = await copy();
  isDone(done);
  expect([read(), done.receipt?.redoneFiles]).toEqual([[], 0n]);
  // Both small ones, and what there was of the large one.
  expect(done.receipt?.resumedFiles).toBe(3n);
});

it("arrives from a server whose two ways to name versions never agree", async () => {
  differs = true;
  isDone(await copy());
  expect(await readFile(`${to}/b`, "utf8")).toBe("the other");
});

it("is looked at once where it is all there is, however large", async () => {
  isDone(await transfer(loop, { from: "web:/large", to }));
  expect(server.requests.filter(({ method }) => method === "HEAD").map(({ url }) => url)).toEqual(["/large"]);
});
