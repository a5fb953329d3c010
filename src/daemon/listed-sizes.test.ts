/** Files of a web server whose index tells their length: small ones are asked for once. */
import { readFile, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { type WebServer, webServer } from "../backend/testing/web-server.ts";
import { Overwrite } from "../gen/packetboat/v1/transfer_pb.ts";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

const LARGE = Buffer.alloc(300_001, "more than is read whole\n");
const FILES: Readonly<Record<string, Buffer>> = {
  a: Buffer.from("aaa"),
  empty: Buffer.alloc(0),
  large: LARGE,
  made: Buffer.from("longer than its source"),
};
/** As the index has them: of what a program makes, the program's. */
const LISTED: Readonly<Record<string, number>> = { a: 3, empty: 0, large: LARGE.length, made: 7 };
const MTIME = "Thu, 01 Jan 2026 00:00:00 GMT";

let server: WebServer;
let loop: Loopback;
let count = 0;
let to = "";

beforeAll(async () => {
  server = await webServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    const content = FILES[name];
    if (content === undefined) {
      const line = (each: string) =>
        `<a href="${each}">${each}</a>    01-Jan-2026 00:00    ${LISTED[each]}\n`;
      const page = `<pre><a href="../">../</a>\n${Object.keys(FILES).map(line).join("")}</pre>`;
      return void response.writeHead(200, { "content-type": "text/html" }).end(page);
    }
    const [, from, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const part = from === undefined ? content : content.subarray(Number(from), Number(end) + 1);
    const range = from === undefined ? {} : { "content-range": `bytes ${from}-${end}/${content.length}` };
    response.writeHead(from === undefined ? 200 : 206, {
      etag: `"${name}"`,
      "last-modified": MTIME,
      "accept-ranges": "bytes",
      "content-length": part.length,
      ...range,
    });
    response.end(request.method === "HEAD" ? undefined : part);
  });
  loop = await startLoopback({ web: { site: { url: server.url } } });
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(() => {
  count += 1;
  to = loop.at(`copy${count}`);
  (server.requests as unknown[]).length = 0;
});

const asked = (method: string) =>
  server.requests
    .flatMap((each) => (each.method === method && each.url !== "/" ? [each.url.slice(1)] : []))
    .sort();

it("arrive with the times that come with them, and what is not as it was listed arrives as it is", async () => {
  const { receipt } = await transfer(loop, { from: "site:/", to });
  expect(receipt).toMatchObject({ state: "done", files: 4n, errors: [] });
  for (const [name, content] of Object.entries(FILES)) {
    expect((await readFile(`${to}/${name}`)).equals(content), name).toBe(true);
    expect((await stat(`${to}/${name}`)).mtimeMs, name).toBe(Date.parse(MTIME));
  }
  expect(new Set(asked("HEAD"))).toEqual(new Set(["large", "made"]));
});

it("are asked about where something is there to compare them with, and kept", async () => {
  await transfer(loop, { from: "site:/", to });
  (server.requests as unknown[]).length = 0;
  const { receipt } = await transfer(loop, { from: "site:/", to });
  expect(receipt).toMatchObject({ state: "done", files: 0n, skippedFiles: 4n });
  expect(asked("GET")).toEqual([]);
});

it("are asked about where their age decides", async () => {
  const { receipt } = await transfer(loop, { from: "site:/", to, options: { minAge: 1n } });
  expect(receipt).toMatchObject({ state: "done", files: 4n });
  expect(new Set(asked("HEAD"))).toEqual(new Set(Object.keys(FILES)));
});

it("take the place of what is there without a question, where they are to", async () => {
  await transfer(loop, { from: "site:/", to });
  await writeFile(`${to}/a`, "another");
  (server.requests as unknown[]).length = 0;
  const { receipt } = await transfer(loop, { from: "site:/", to, options: { overwrite: Overwrite.ALWAYS } });
  expect(receipt).toMatchObject({ state: "done", files: 4n });
  expect(await readFile(`${to}/a`, "utf8")).toBe("aaa");
  expect(new Set(asked("HEAD"))).toEqual(new Set(["large", "made"]));
});
