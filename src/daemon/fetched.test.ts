/** Content of web servers that goes past JavaScript, and the servers for which it can't. */
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeCertificate } from "../../test/servers/certificate.ts";
import { type WebServer, webServer } from "../backend/testing/web-server.ts";
import { type Ended, type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

const SIZE = 9_876_543;
const filled = (seed: number) => Buffer.from(Uint8Array.from({ length: SIZE }, (_, n) => (n * seed) >>> 8));
const OLD = filled(2_654_435);
const NEW = filled(7_919);

/** What a server does with a range before it answers as it should; true: it has answered. */
type Trick = (request: IncomingMessage, response: ServerResponse) => boolean;

let trick: Trick = () => false;
let content = OLD;

function answer(request: IncomingMessage, response: ServerResponse): void {
  const headers = {
    etag: content === OLD ? '"old"' : '"new"',
    "accept-ranges": "bytes",
    "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT",
  };
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  const wants = request.headers["if-range"];
  if (from === undefined || (wants !== undefined && wants !== headers.etag)) {
    response.writeHead(200, { ...headers, "content-length": SIZE });
    response.end(request.method === "HEAD" ? undefined : content);
    return;
  }
  if (trick(request, response)) return;
  const range = content.subarray(Number(from), Number(to) + 1);
  const said = { "content-range": `bytes ${from}-${to}/${SIZE}`, "content-length": range.length };
  response.writeHead(206, { ...headers, ...said });
  response.end(range);
}

/** By the first `times` ranges, and then no more. */
function first(times: number, what: Trick): Trick {
  let left = times;
  return (request, response) => {
    left -= 1;
    return left >= 0 && what(request, response);
  };
}

let server: WebServer;
let loop: Loopback;
let count = 0;
const web: Record<string, Readonly<Record<string, string>>> = {};

beforeAll(async () => {
  server = await webServer(answer);
  loop = await startLoopback({ web });
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** From a remote that nobody has asked before. */
async function copied(
  settings: Readonly<Record<string, string>> = { url: server.url },
): Promise<Ended & { readonly copy: () => Promise<Buffer> }> {
  count += 1;
  const to = loop.at(`copy${count}`);
  const from = "abcdefghijklmnopqrst".charAt(count);
  web[from] = settings;
  const ended = await transfer(loop, { from: `${from}:/file`, to });
  return { ...ended, copy: () => readFile(to) };
}

/** undici sends "connection: keep-alive", the engine no such thing. */
const rangesPastJavaScript = () =>
  server.requests.filter(({ headers }) => headers.range && headers.connection === undefined).length;

async function during<T>(tricks: Trick, run: () => Promise<T>): Promise<T> {
  trick = tricks;
  content = OLD;
  (server.requests as unknown[]).length = 0;
  try {
    return await run();
  } finally {
    trick = () => false;
  }
}

describe("a file of a web server", () => {
  it("comes by ranges that JavaScript does not see", () =>
    during(
      () => false,
      async () => {
        const { receipt, copy } = await copied();
        expect(receipt).toMatchObject({ state: "done", files: 1n, bytes: BigInt(SIZE) });
        expect((await copy()).equals(OLD)).toBe(true);
        const ranges = server.requests.filter(({ headers }) => headers.range);
        expect(rangesPastJavaScript()).toBe(ranges.length);
        expect(ranges.length).toBeGreaterThanOrEqual(1);
        expect(ranges[0]?.headers).toMatchObject({ "if-range": '"old"', "accept-encoding": "identity" });
      },
    ));

  it("is asked for again where a range broke off, or the server wanted to be left alone", () => {
    let brokenAt: number | undefined;
    const breaksOff: Trick = (request, response) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      if (brokenAt !== undefined || !(Number(to) - Number(from) > 1_500_000)) return false;
      brokenAt = Number(from);
      response.writeHead(206, {
        etag: '"old"',
        "content-range": `bytes ${from}-${to}/${SIZE}`,
        "content-length": Number(to) - Number(from) + 1,
      });
      response.write(OLD.subarray(brokenAt, brokenAt + 1_500_000), () => response.destroy());
      return true;
    };
    const refuses: Trick = (_request, response) => {
      response.writeHead(503, { "retry-after": "1" }).end("slow down");
      return true;
    };
    let said = 0;
    const tricks: Trick = (request, response) => {
      said += 1;
      return (said === 1 ? refuses : breaksOff)(request, response);
    };
    return during(tricks, async () => {
      const { receipt, copy } = await copied();
      expect(receipt).toMatchObject({ state: "done", errors: [] });
      expect((await copy()).equals(OLD)).toBe(true);
      // The chunk of 1 MiB that had come is not asked for again.
      const begins = server.requests.map(({ headers }) => Number(/=(\d+)-/.exec(headers.range ?? "")?.[1]));
      expect(begins).toContain((brokenAt ?? 0) + (1 << 20));
      expect(rangesPastJavaScript()).toBe(server.requests.filter(({ headers }) => headers.range).length);
    });
  });

  it("is never mixed with what came after it", () => {
    const changes: Trick = () => {
      content = NEW;
      return false;
    };
    return during(first(1, changes), async () => {
      const { receipt, copy } = await copied();
      // The first range is of the new one already, under its own ETag.
      if (receipt?.state === "done") expect((await copy()).equals(NEW)).toBe(true);
      else expect(receipt?.errors.map(({ code }) => code)).toEqual(["source_changed"]);
    });
  });

  it("is not taken from an answer to another question", () => {
    const lies: Trick = (_request, response) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(_request.headers.range ?? "") ?? [];
      const length = Number(to) - Number(from) + 1;
      const headers = {
        etag: '"old"',
        "content-range": `bytes 1-${length}/${SIZE}`,
        "content-length": length,
      };
      response.writeHead(206, headers).end(OLD.subarray(1, length + 1));
      return true;
    };
    return during(lies, async () => {
      const { receipt } = await copied();
      expect(receipt?.state).not.toBe("done");
      expect(receipt?.errors.map(({ code }) => code)).toEqual(["protocol_violation"]);
      expect(rangesPastJavaScript()).toBeGreaterThan(0);
    });
  });

  it("comes through JavaScript where a server tells no length", () => {
    const chunked: Trick = (request, response) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      response.writeHead(206, { etag: '"old"', "content-range": `bytes ${from}-${to}/${SIZE}` });
      response.end(OLD.subarray(Number(from), Number(to) + 1));
      return true;
    };
    return during(chunked, async () => {
      const own = await webServer(answer);
      const { receipt, copy } = await copied({ url: own.url });
      await own[Symbol.asyncDispose]();
      expect(receipt).toMatchObject({ state: "done", errors: [] });
      expect((await copy()).equals(OLD)).toBe(true);
      const ranges = own.requests.filter(({ headers }) => headers.range);
      // Asked once in the other way, by each of those that began at once.
      const past = ranges.filter(({ headers }) => headers.connection === undefined).length;
      expect(past).toBeGreaterThan(0);
      expect(ranges.length - past).toBeGreaterThanOrEqual(1);
    });
  });
});

describe("a web server with TLS", () => {
  it("is read by who trusts its authority, and by nobody else", () =>
    during(
      () => false,
      async () => {
        const { certificate, key, pem } = await makeCertificate(loop.folder);
        const keep: (string | undefined)[] = [];
        const tls = createServer({ cert: pem, key: await readFile(key) }, (request, response) => {
          if (request.headers.range) keep.push(request.headers.connection);
          answer(request, response);
        });
        await new Promise<void>((done) => tls.listen(0, "127.0.0.1", done));
        const url = `https://127.0.0.1:${(tls.address() as AddressInfo).port}/`;
        try {
          const { receipt, copy } = await copied({ url, ca_file: certificate });
          expect(receipt).toMatchObject({ state: "done", errors: [] });
          expect((await copy()).equals(OLD)).toBe(true);
          expect(keep.length).toBeGreaterThanOrEqual(1);
          expect(keep.every((said) => said === undefined)).toBe(true);
          const refused = await copied({ url });
          expect([refused.error?.code, ...(refused.receipt?.errors ?? []).map(({ code }) => code)]).toContain(
            "unauthenticated",
          );
        } finally {
          tls.closeAllConnections();
          await new Promise((done) => tls.close(done));
        }
      },
    ));
});
