/** Content that goes to servers past JavaScript, and the servers that do not take it. */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createClear, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecret } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeCertificate, type TestCertificate } from "../../test/servers/certificate.ts";
import type { Backend } from "../backend/backend.ts";
import { openS3 } from "../backend/s3/backend.ts";
import { Secret } from "../model/endpoint.ts";
import { openFetcher } from "../native/fetch.ts";
import { type Ended, type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

/** Two parts of 8 MiB and a short one. */
const SIZE = 2 * 8 * 1024 * 1024 + 54_321;
const CONTENT = Buffer.from(Uint8Array.from({ length: SIZE }, (_, n) => (n * 2_654_435) >>> 8));

/** What a server does with a part instead of taking it; true: that was all. */
type Trick = (request: IncomingMessage, response: ServerResponse) => boolean;

interface Part {
  readonly number: number;
  readonly body: Buffer;
  readonly headers: IncomingMessage["headers"];
}

/** A bucket of one object. */
class Bucket {
  readonly parts: Part[] = [];
  whole: Buffer | undefined;
  trick: Trick = () => false;

  readonly answer = (request: IncomingMessage, response: ServerResponse): void => {
    request.on("error", () => {});
    const url = new URL(request.url ?? "", "http://x");
    const number = Number(url.searchParams.get("partNumber"));
    if (request.method === "PUT") {
      if (!this.trick(request, response)) void this.#take(number, request, response);
      return;
    }
    request.resume();
    if (request.method === "HEAD") this.#head(response);
    else if (url.searchParams.has("uploads"))
      xml(
        response,
        "<InitiateMultipartUploadResult><UploadId>up/load+1</UploadId></InitiateMultipartUploadResult>",
      );
    else if (request.method === "POST") this.#complete(response);
    else if (request.method === "DELETE") response.writeHead(204).end();
    else xml(response, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
  };

  async #take(number: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request).catch(() => undefined);
    if (body === undefined) return;
    this.parts.push({ number, body, headers: request.headers });
    const sum = { "x-amz-checksum-crc32": crc32Of(body) };
    response.writeHead(200, { etag: `"${number}"`, "content-length": 0, ...sum }).end();
  }

  #complete(response: ServerResponse): void {
    const last = new Map(this.parts.map((part) => [part.number, part.body]));
    this.whole = Buffer.concat([...last].sort(([a], [b]) => a - b).map(([, body]) => body));
    xml(
      response,
      `<CompleteMultipartUploadResult><ETag>"e-${last.size}"</ETag></CompleteMultipartUploadResult>`,
    );
  }

  #head(response: ServerResponse): void {
    const { whole } = this;
    if (whole) response.writeHead(200, { etag: '"e-3"', "content-length": whole.length }).end();
    else response.writeHead(404).end();
  }
}

function crc32Of(body: Buffer): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return sum.toString("base64");
}

function xml(response: ServerResponse, text: string): void {
  response.writeHead(200, { "content-type": "application/xml" }).end(`<?xml version="1.0"?>${text}`);
}

/** By the first `times` parts, and then no more. */
function first(times: number, what: Trick): Trick {
  let left = times;
  return (request, response) => {
    left -= 1;
    return left >= 0 && what(request, response);
  };
}

/** A web server of one file, which takes a PUT. */
class Place {
  readonly puts: IncomingMessage["headers"][] = [];
  whole: Buffer | undefined;
  trick: Trick = () => false;

  readonly answer = (request: IncomingMessage, response: ServerResponse): void => {
    request.on("error", () => {});
    if (request.method !== "PUT") {
      const { whole } = this;
      request.resume();
      if (whole) response.writeHead(200, { "content-length": whole.length }).end();
      else response.writeHead(404).end();
      return;
    }
    this.puts.push(request.headers);
    if (!this.trick(request, response)) void this.#take(request, response);
  };

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.whole = await buffer(request).catch(() => undefined);
    response.writeHead(201, { "content-length": 0 }).end();
  }
}

const remotes: Record<string, () => Promise<Backend>> = {};
const web: Record<string, Readonly<Record<string, string>>> = {};
let loop: Loopback;
let source: string;
let tls: TestCertificate;

beforeAll(async () => {
  loop = await startLoopback({ remotes, web });
  tls = await makeCertificate(loop.folder);
  source = loop.at("source");
  await writeFile(source, CONTENT);
});
afterAll(() => loop[Symbol.asyncDispose]());

let count = 0;

interface Sending {
  readonly trick?: Trick;
  readonly isSecret?: boolean;
  readonly signal?: AbortSignal;
}

/** To a server of its own, and a remote that nobody has asked before. */
async function served(
  answer: Bucket["answer"],
  { isSecret = false, signal }: Sending,
  add: (name: string, origin: string) => void,
): Promise<Ended> {
  const server = isSecret
    ? createSecret({ cert: tls.pem, key: await readFile(tls.key) }, answer)
    : createClear(answer);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const name = "abcdefghijklmnopqrstuvwxyz".charAt(count++);
  add(name, `${isSecret ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    return await transfer(loop, { from: source, to: `${name}:/object`, ...(signal && { signal }) });
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
}

const secret = async (of: string) => (of === "session_token" ? undefined : new Secret("key"));

async function sent({ trick = () => false, ...sending }: Sending = {}) {
  const bucket = new Bucket();
  bucket.trick = trick;
  const ended = await served(bucket.answer, sending, (name, endpoint) => {
    const settings = { endpoint, bucket: "b", ...(sending.isSecret && { ca_file: tls.certificate }) };
    remotes[name] = () =>
      openS3({ kind: "s3", settings, secret }, { name, home: loop.folder, env: {}, openFetcher });
  });
  return { ...ended, bucket };
}

async function put({ trick = () => false, ...sending }: Sending = {}) {
  const place = new Place();
  place.trick = trick;
  const ended = await served(place.answer, sending, (name, url) => {
    web[name] = { url, ...(sending.isSecret && { ca_file: tls.certificate }) };
  });
  return { ...ended, place };
}

/** The SDK and undici send "connection: keep-alive", the engine no such thing. */
const goesPast = ({ headers }: Part) => headers.connection === undefined;

describe("a file on its way to a bucket", () => {
  it("goes in parts that JavaScript does not see, signed with their hash", async () => {
    const { receipt, bucket } = await sent();
    expect(receipt).toMatchObject({ state: "done", files: 1n, bytes: BigInt(SIZE), errors: [] });
    expect(bucket.whole?.equals(CONTENT)).toBe(true);
    expect(bucket.parts.map(({ number }) => number).sort()).toEqual([1, 2, 3]);
    expect(bucket.parts.every(goesPast)).toBe(true);
    for (const { body, headers } of bucket.parts) {
      expect(headers["x-amz-content-sha256"]).toBe(createHash("sha256").update(body).digest("hex"));
      expect(headers["x-amz-checksum-crc32"]).toBe(crc32Of(body));
      expect(headers.authorization).toContain("host;x-amz-checksum-crc32;x-amz-content-sha256;");
    }
  });

  it("goes so over TLS, which protects what is not signed then", async () => {
    const { receipt, bucket } = await sent({ isSecret: true });
    expect(receipt).toMatchObject({ state: "done", errors: [] });
    expect(bucket.whole?.equals(CONTENT)).toBe(true);
    expect(bucket.parts.every(goesPast)).toBe(true);
    const hashes = bucket.parts.map(({ headers }) => headers["x-amz-content-sha256"]);
    expect(new Set(hashes)).toEqual(new Set(["UNSIGNED-PAYLOAD"]));
  });

  /** Before a byte of the part was read. */
  const slowDown: Trick = (_request, response) => {
    response.writeHead(503, { connection: "close" });
    response.end("<Error><Code>SlowDown</Code></Error>");
    return true;
  };
  const breaksOff: Trick = (request) => {
    request.once("data", () => request.socket.destroy());
    return true;
  };
  const hasAnother: Trick = (request, response) => {
    const answer = { etag: '"x"', "content-length": 0, "x-amz-checksum-crc32": "AAAAAA==" };
    request.on("end", () => response.writeHead(200, answer).end()).resume();
    return true;
  };

  it.each([
    ["refused for now", slowDown],
    ["broken off", breaksOff],
    ["received as something else", hasAnother],
  ])("is sent again, whole, where a part was %s", async (_, trick) => {
    for (const isSecret of [false, true]) {
      const { receipt, bucket } = await sent({ trick: first(2, trick), isSecret });
      expect(receipt).toMatchObject({ state: "done", errors: [] });
      expect(bucket.whole?.equals(CONTENT)).toBe(true);
      expect(bucket.parts.every(goesPast)).toBe(true);
    }
  });

  it("fails in the words of a server that wants none of it", async () => {
    const refuses: Trick = (_request, response) => {
      response.writeHead(403, { connection: "close" });
      response.end("<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>");
      return true;
    };
    const { receipt, bucket } = await sent({ trick: refuses });
    expect(receipt?.errors.map(({ code }) => code)).toEqual(["permission_denied"]);
    expect(bucket.whole).toBeUndefined();
  });

  it("ends at once when it is interrupted while the server reads nothing", async () => {
    const controller = new AbortController();
    const readsNothing: Trick = () => {
      controller.abort();
      return true;
    };
    const { receipt, bucket } = await sent({ trick: readsNothing, signal: controller.signal });
    expect(receipt?.state).not.toBe("done");
    expect(bucket.whole).toBeUndefined();
  });
});

describe("a file on its way to a web server", () => {
  it.each([false, true])(
    "goes in one piece that JavaScript does not see (with TLS: %s)",
    async (isSecret) => {
      const { receipt, place } = await put({ isSecret });
      expect(receipt).toMatchObject({ state: "done", files: 1n, bytes: BigInt(SIZE), errors: [] });
      expect(place.whole?.equals(CONTENT)).toBe(true);
      expect(place.puts).toMatchObject([{ "content-length": `${SIZE}` }]);
      expect(place.puts[0]?.connection).toBeUndefined();
    },
  );

  const refusing = (status: number, headers: Readonly<Record<string, string>> = {}): Trick => {
    return (_request, response) => {
      response.writeHead(status, { connection: "close", ...headers }).end();
      return true;
    };
  };

  it.each([
    [403, {}, "permission_denied"],
    [507, {}, "no_space"],
    // What was sent is gone.
    [307, { location: "/elsewhere" }, "permission_denied"],
  ])("fails by what the server says before it has all of it: %i", async (status, headers, code) => {
    for (const isSecret of [false, true]) {
      const { receipt, place } = await put({ trick: refusing(status, headers), isSecret });
      expect(receipt?.errors.map((error) => error.code)).toEqual([code]);
      expect(place.whole).toBeUndefined();
    }
  });

  it("does not count where the server closed in the middle", async () => {
    const breaksOff: Trick = (request) => {
      request.once("data", () => request.socket.destroy());
      return true;
    };
    const { receipt, place } = await put({ trick: breaksOff });
    expect(receipt?.state).not.toBe("done");
    expect(place.whole).toBeUndefined();
  });

  it("ends at once when it is interrupted while the server reads nothing", async () => {
    const controller = new AbortController();
    const readsNothing: Trick = () => {
      controller.abort();
      return true;
    };
    const { receipt, place } = await put({ trick: readsNothing, signal: controller.signal });
    expect(receipt?.state).not.toBe("done");
    expect(place.whole).toBeUndefined();
  });
});
