/** Small files of a web server that are others by the time they are read. */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type WebServer, webServer } from "../backend/testing/web-server.ts";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

/** Of each file, what it is when listed, and what from then on. */
const FILES: Readonly<Record<string, readonly [string, string]>> = {
  grown: ["short", "longer than it was"],
  shrunk: ["longer than it will be", "short"],
  other: ["as long", "but new"],
  emptied: ["there", ""],
};

let server: WebServer;
let loop: Loopback;
const listed = new Set<string>();

beforeAll(async () => {
  server = await webServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    const [before, after] = FILES[name] ?? [];
    if (before === undefined || after === undefined) {
      const links = Object.keys(FILES).map((each) => `<a href="${each}">${each}</a>\n`);
      return void response.writeHead(200, { "content-type": "text/html" }).end(links.join(""));
    }
    const content = listed.has(name) ? after : before;
    listed.add(name);
    response.writeHead(200, {
      etag: content === after ? '"2"' : '"1"',
      "last-modified": content === after ? "Fri, 02 Jan 2026 00:00:00 GMT" : "Thu, 01 Jan 2026 00:00:00 GMT",
      "content-length": content.length,
    });
    response.end(request.method === "HEAD" ? undefined : content);
  });
  loop = await startLoopback({ web: { site: { url: server.url } } });
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

it("arrive as they are now", async () => {
  const { receipt } = await transfer(loop, { from: "site:/", to: loop.at("copy") });
  expect(receipt).toMatchObject({ state: "done", files: 4n, errors: [] });
  for (const [name, [, after]] of Object.entries(FILES))
    expect(await readFile(loop.at("copy", name), "utf8"), name).toBe(after);
});
