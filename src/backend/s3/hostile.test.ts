/** S3 servers that lie (T1, T2 of the threats): refused or healed, and signed for by nobody where it is not them. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { type EndpointConfig, Secret } from "../../model/endpoint.ts";
import type { PbError } from "../../model/error.ts";
import type { Backend } from "../backend.ts";
import type { ChunkAccess } from "../chunks.ts";
import { collect, never, refused } from "../conformance/fixture.ts";
import { type WebServer, webServer } from "../testing/web-server.ts";
import { retryingChunks } from "../wrap/retrying.ts";
import { openS3 } from "./backend.ts";
import { crc32Of } from "./checksums.ts";

const CONTENT = Buffer.from("0123456789".repeat(100));
const KNOWN = { size: CONTENT.length, mtimeNs: 0n, version: '"one"' };
const MIB = 1024 * 1024;

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function open(url: string): Promise<Backend & { readonly chunks: ChunkAccess }> {
  const secrets: Readonly<Record<string, string>> = {
    access_key_id: "SAILOR",
    secret_access_key: "hidden treasure",
  };
  const config: EndpointConfig = {
    kind: "s3",
    settings: { endpoint: url, bucket: "b", listed_times: true },
    secret: async (name) => (secrets[name] === undefined ? undefined : new Secret(secrets[name])),
  };
  const backend = await openS3(config, { name: "box", home: "/nonexistent", env: {} });
  if (backend.native.kind !== "chunks") throw new TypeError("no chunks");
  return Object.assign(backend, { chunks: backend.native.chunks });
}

const queryOf = (request: IncomingMessage) => new URL(request.url ?? "", "http://x").searchParams;

/** What an honest server answers to GET and HEAD of an object. */
function honest(request: IncomingMessage, response: ServerResponse, etag = '"one"'): void {
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const [from, to] = range ? [Number(range[1]), Number(range[2])] : [0, CONTENT.length - 1];
  const part = CONTENT.subarray(from, to + 1);
  const partial = range ? { "content-range": `bytes ${from}-${to}/${CONTENT.length}` } : {};
  response.writeHead(range ? 206 : 200, { etag, ...partial, "content-length": part.length });
  response.end(request.method === "HEAD" ? undefined : part);
}

const xml = (response: ServerResponse, body: string, status = 200) =>
  response.writeHead(status, { "content-type": "application/xml" }).end(`<?xml version="1.0"?>${body}`);

const errorBody = (code: string) => `<Error><Code>${code}</Code><Message>no</Message></Error>`;

interface Page {
  readonly keys?: readonly string[];
  readonly prefixes?: readonly string[];
  readonly next?: string;
  readonly size?: string;
}

function page({ keys = [], prefixes = [], next, size = "1" }: Page): string {
  const contents = keys.map(
    (key) => `<Contents><Key>${encodeURIComponent(key)}</Key><Size>${size}</Size></Contents>`,
  );
  const folders = prefixes.map(
    (each) => `<CommonPrefixes><Prefix>${encodeURIComponent(each)}</Prefix></CommonPrefixes>`,
  );
  const more = next === undefined ? "" : `<NextContinuationToken>${next}</NextContinuationToken>`;
  return `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${next !== undefined}</IsTruncated>${more}${contents.join("")}${folders.join("")}</ListBucketResult>`;
}

/** A bucket whose listing is what `list` says. */
const bucket =
  (list: (query: URLSearchParams) => string): Answer =>
  (request, response) => {
    if (request.method === "HEAD") return void response.writeHead(200).end();
    xml(response, list(queryOf(request)));
  };

const listOf = (backend: Backend, path = "") =>
  collect(backend.list(path, { recursive: true, follow: false, signal: never }));

async function readAt(chunks: ChunkAccess, offset: number, length: number): Promise<string> {
  await using source = await chunks.open("f", { known: KNOWN, signal: never });
  const into = Buffer.alloc(length);
  await source.read(offset, into, never);
  return into.toString();
}

const readAll = (chunks: ChunkAccess) =>
  chunks.readWhole("f", Buffer.alloc(CONTENT.length), { known: KNOWN, signal: never });

test("keys that lead elsewhere are errors, names that are only strange are kept", async () => {
  const keys = ["../x", "/etc/passwd", "a//b", "..", ".", "nul\0byte", "good", "esc\u001b[31m\n"];
  await using server = await webServer(bucket(() => page({ keys })));
  await using backend = await open(server.url);
  const { entries, errors } = await listOf(backend);
  expect(entries.map(({ path }) => path)).toEqual(["esc\u001b[31m\n", "good"]);
  expect(errors.map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => "path_escapes"));
});

test("a server that knows no encoded keys has just those removed that it listed", async () => {
  const deleted: string[] = [];
  await using server = await webServer((request, response) => {
    // There is no object of the folder's name.
    if (request.method === "HEAD") return void response.writeHead(404).end();
    if (request.method === "DELETE") deleted.push(new URL(request.url ?? "", "http://x").pathname);
    if (request.method === "DELETE") return void response.writeHead(204).end();
    const contents = "<Contents><Key>d/a%20b+c</Key><Size>1</Size></Contents>";
    xml(response, `<ListBucketResult><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`);
  });
  await using backend = await open(server.url);
  expect(await backend.remove("d", { recursive: true, signal: never })).toEqual({ files: 1, directories: 1 });
  expect(deleted.map(decodeURIComponent)).toEqual(["/b/d/a%20b+c"]);
});

test("keys and folders of another folder than was asked for are errors", async () => {
  const list = (query: URLSearchParams) =>
    query.get("prefix") === "d/" ? page({ keys: ["e/x", "d/good"], prefixes: ["../", "d/../"] }) : page({});
  await using server = await webServer((request, response) => {
    // There is no object of the folder's name.
    if (request.method === "HEAD") return void response.writeHead(404).end();
    xml(response, list(queryOf(request)));
  });
  await using backend = await open(server.url);
  const { entries, errors } = await listOf(backend, "d");
  expect(entries.map(({ path }) => path)).toEqual(["good"]);
  expect(errors.map(({ code }) => code)).toEqual(["path_escapes", "path_escapes", "path_escapes"]);
});

test("a folder's removal never touches what is not below it", async () => {
  await using server = await webServer((request, response) => {
    if (request.method === "HEAD") return void response.writeHead(404).end();
    xml(response, request.method === "GET" ? page({ keys: ["other/precious"] }) : "<DeleteResult/>");
  });
  await using backend = await open(server.url);
  await refused("path_escapes", backend.remove("d", { recursive: true, signal: never }));
  expect(server.requests.filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual([]);
});

test.each(["-1", "9007199254740993"])("a listing with an object of %s bytes", async (size) => {
  await using server = await webServer(bucket(() => page({ keys: ["f"], size })));
  await using backend = await open(server.url);
  const { entries, errors } = await listOf(backend);
  expect(entries).toEqual([]);
  expect(errors.map(({ code }) => code)).toEqual(["protocol_violation"]);
});

test("a listing that goes round", async () => {
  let count = 0;
  const tokens = ["a", "b", "c"];
  await using server = await webServer(
    bucket(() => {
      count += 1;
      return page({ keys: [`k${count}`], next: tokens[count % tokens.length] ?? "" });
    }),
  );
  await using backend = await open(server.url);
  await refused("protocol_violation", listOf(backend));
  expect(count).toBeLessThan(12);
});

test("a listing that goes on without anything new", async () => {
  let count = 0;
  await using server = await webServer(
    bucket(() => {
      count += 1;
      return page({ keys: [], next: `t${count}` });
    }),
  );
  await using backend = await open(server.url);
  await refused("protocol_violation", listOf(backend));
  expect(count).toBeLessThan(200);
});

test.each([
  ["entities", `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>${page({ keys: ["k"] })}`],
  ["no XML", "welcome"],
  ["a cut reply", page({ keys: ["k"] }).slice(0, 100)],
  ["a hundred thousand levels", "<a>".repeat(100_000)],
])("a listing of %s", async (_what, body) => {
  await using server = await webServer(bucket(() => body));
  await using backend = await open(server.url);
  await refused("protocol_violation", listOf(backend));
});

test("a reply without end does not fill the memory", async () => {
  let sent = 0;
  await using server = await webServer((request, response) => {
    if (request.method === "HEAD") return void response.writeHead(200).end();
    const piece = Buffer.alloc(MIB, "<a>");
    const more = () => {
      while (!response.destroyed && sent < 256 * MIB) {
        sent += piece.length;
        if (!response.write(piece)) return void response.once("drain", more);
      }
      response.end();
    };
    response.writeHead(200);
    more();
  });
  await using backend = await open(server.url);
  await refused("protocol_violation", listOf(backend));
  expect(sent).toBeLessThan(64 * MIB);
});

test("a server that answers a range with all of it, or with another range", async () => {
  for (const given of [undefined, "bytes=10-14"]) {
    await using server = await webServer((request, response) => {
      if (given === undefined) delete request.headers.range;
      else request.headers.range = given;
      honest(request, response);
    });
    await using backend = await open(server.url);
    const code = given === undefined ? "protocol_violation" : "source_changed";
    await refused(code, readAt(backend.chunks, 995, 5));
  }
});

test("an object that changes between two ranges, in spite of If-Match", async () => {
  let etag = '"one"';
  await using server = await webServer((request, response) => honest(request, response, etag));
  await using backend = await open(server.url);
  await using source = await backend.chunks.open("f", { known: KNOWN, signal: never });
  await source.read(0, Buffer.alloc(10), never);
  etag = '"two"';
  await refused("source_changed", source.read(10, Buffer.alloc(10), never));
  await refused("source_changed", readAll(backend.chunks));
});

test.each([
  ["longer", CONTENT.length + 1],
  ["shorter", CONTENT.length - 1],
])("an object that is %s than its listing said", async (_what, size) => {
  await using server = await webServer((request, response) => {
    const body = Buffer.alloc(size);
    if (request.headers.range === undefined)
      response.writeHead(200, { etag: '"one"', "content-length": size }).end(body);
    else
      response
        .writeHead(206, { etag: '"one"', "content-range": `bytes 0-9/${size}`, "content-length": 10 })
        .end(body.subarray(0, 10));
  });
  await using backend = await open(server.url);
  await refused("source_changed", readAt(backend.chunks, 0, 10));
  await refused("source_changed", readAll(backend.chunks));
});

test("a connection that ends in the middle of a range is healed by trying again", async () => {
  let cuts = 0;
  await using server = await webServer((request, response) => {
    if (cuts === 2) return honest(request, response);
    cuts += 1;
    const headers = { etag: '"one"', "content-range": "bytes 0-9/1000", "content-length": 10 };
    response.writeHead(206, headers).write("01234", () => response.destroy());
  });
  await using backend = await open(server.url);
  const error = await refused("connection_lost", readAt(backend.chunks, 0, 10));
  expect(error.retryable).toBe(true);
  expect(await readAt(retryingChunks(backend.chunks, { baseMs: 1 }), 0, 10)).toBe("0123456789");
  expect(cuts).toBe(2);
});

test("more bytes than the range that was said never come through", async () => {
  await using server = await webServer((_request, response) => {
    response.writeHead(206, { etag: '"one"', "content-range": "bytes 0-9/1000" }).end("0123456789 and more");
  });
  await using backend = await open(server.url);
  await refused("protocol_violation", readAt(backend.chunks, 0, 10));
});

const signedFor = ({ requests }: WebServer) =>
  requests.filter(({ headers }) => headers.authorization !== undefined);

test.each([
  [301, "PermanentRedirect", "invalid_argument"],
  [307, "TemporaryRedirect", "unreachable"],
  [302, "", "unreachable"],
] as const)("a redirect (%i %s) is not followed, with or without keys", async (status, name, code) => {
  await using other = await webServer(honest);
  await using server = await webServer((_request, response) => {
    response.setHeader("location", other.url);
    response.setHeader("x-amz-bucket-region", "eu-west-1");
    const endpoint = `<Endpoint>${new URL(other.url).host}</Endpoint>`;
    if (name === "") response.writeHead(status).end();
    else xml(response, errorBody(name).replace("</Error>", `${endpoint}</Error>`), status);
  });
  await using backend = await open(server.url);
  const error = await refused(code, readAt(backend.chunks, 0, 10));
  expect(error.hint).toContain("region");
  await refused(code, write(backend.chunks, Buffer.from("x")));
  await refused(code, backend.stat("f", { follow: true, signal: never }));
  expect(other.requests).toEqual([]);
  expect(signedFor(server)).toHaveLength(server.requests.length);
  expect(JSON.stringify(server.requests)).not.toContain("treasure");
});

test.each([
  [503, "SlowDown", "resource_exhausted"],
  [429, "TooManyRequests", "resource_exhausted"],
  [500, "InternalError", "io_error"],
] as const)("%i %s with a wish to be left alone", async (status, name, code) => {
  await using server = await webServer((_request, response) => {
    response.setHeader("retry-after", "7");
    xml(response, errorBody(name), status);
  });
  await using backend = await open(server.url);
  const calls = [
    () => readAll(backend.chunks),
    () => listOf(backend),
    () => write(backend.chunks, Buffer.from("x")),
  ];
  for (const call of calls)
    expect(await refused(code, call())).toMatchObject({ retryable: true, retryAfterMs: 7_000, peer: "box" });
});

const WRITING = { meta: { mtimeNs: 0n }, sync: false, signal: never };

const write = (chunks: ChunkAccess, bytes: Buffer) => chunks.writeWhole("f", bytes, WRITING);

const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

/** A PUT's answer; `size` is what HEAD then tells. */
const putting =
  (headers: Readonly<Record<string, string>>, size = 1): Answer =>
  (request, response) => {
    if (request.method === "HEAD") response.writeHead(200, { "content-length": size }).end();
    else response.writeHead(200, { ...headers }).end();
  };

test("what was put is compared with what the server says it has", async () => {
  // Of "x" and of "y" (CRC-32, big-endian).
  const crc = { x: "jNwWgw==", y: "+8hGFQ==" };
  const cases: readonly (readonly [Answer, "crc32" | "md5" | "size" | "verification_failed"])[] = [
    [putting({ "x-amz-checksum-crc32": crc.x }), "crc32"],
    [putting({ "x-amz-checksum-crc32": crc.y }), "verification_failed"],
    [putting({ etag: `"${md5(Buffer.from("x"))}"` }), "md5"],
    // Perhaps encrypted: the size must do.
    [putting({ etag: `"${md5(Buffer.from("y"))}"` }), "size"],
    [putting({}), "size"],
    [putting({}, 2), "verification_failed"],
  ];
  for (const [answer, expected] of cases) {
    await using server = await webServer(answer);
    await using backend = await open(server.url);
    const outcome = await write(backend.chunks, Buffer.from("x")).then(
      (confirmed) => (confirmed.how === "hash" ? confirmed.algorithm : confirmed.how),
      ({ code }: PbError) => code,
    );
    expect(outcome).toBe(expected);
  }
});

interface Upload {
  /** Answers to CompleteMultipartUpload, in turn; the last one stays. */
  readonly complete: readonly Answer[];
  /** Of a HEAD afterwards. */
  readonly etag?: string;
  readonly partSum?: string;
}

function multipart({ complete, etag = '"other"', partSum }: Upload): Answer {
  let completed = 0;
  return (request, response) => {
    const query = queryOf(request);
    if (request.method === "POST" && query.has("uploads"))
      xml(response, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>");
    else if (request.method === "POST") {
      complete[Math.min(completed, complete.length - 1)]?.(request, response);
      completed += 1;
    } else if (request.method === "HEAD")
      response.writeHead(200, { etag, "content-length": CONTENT.length }).end();
    else response.writeHead(200, { etag: '"p"', ...(partSum && { "x-amz-checksum-crc32": partSum }) }).end();
  };
}

async function upload(chunks: ChunkAccess): Promise<unknown> {
  const sink = await chunks.create("f", { ...WRITING, size: CONTENT.length });
  await sink.write(0, [CONTENT], never);
  return sink.commit(never);
}

const done = (more = ""): Answer => {
  const body = `<CompleteMultipartUploadResult><ETag>"x-1"</ETag>${more}</CompleteMultipartUploadResult>`;
  return (_request, response) => void xml(response, body);
};
const failed =
  (code: string, { after = "", status = 200 } = {}): Answer =>
  (_request, response) =>
    void xml(response, errorBody(code) + after, status);

test.each([
  ["an error", ""],
  ["an error and a line break", "\n"],
])("an upload's end that answers 200 with %s, then does it", async (_what, after) => {
  await using server = await webServer(multipart({ complete: [failed("InternalError", { after }), done()] }));
  await using backend = await open(server.url);
  const error = await refused("io_error", upload(backend.chunks) as Promise<never>);
  expect(error.retryable).toBe(true);
  await using again = await webServer(multipart({ complete: [failed("InternalError", { after }), done()] }));
  await using healing = await open(again.url);
  expect(await upload(retryingChunks(healing.chunks, { baseMs: 1 }))).toEqual({ how: "size" });
});

test("an upload's end whose answer was lost is found to be there, or not", async () => {
  const complete = [failed("NoSuchUpload", { status: 404 })];
  await using ours = await webServer(multipart({ complete, etag: '"0123-1"' }));
  await using backend = await open(ours.url);
  expect(await upload(backend.chunks)).toEqual({ how: "size" });
  await using others = await webServer(multipart({ complete, etag: '"0123"' }));
  await using second = await open(others.url);
  await refused("not_found", upload(second.chunks));
});

test("a part, and the whole, that is not what was sent", async () => {
  await using server = await webServer(multipart({ complete: [done()], partSum: "AAAAAA==" }));
  await using backend = await open(server.url);
  const error = await refused("verification_failed", upload(backend.chunks));
  expect(error.retryable).toBe(true);

  const partSum = crc32Of(CONTENT);
  const sum = "<ChecksumCRC32>AAAAAA==-1</ChecksumCRC32>";
  await using whole = await webServer(multipart({ complete: [done(sum)], partSum, etag: '"x-1"' }));
  await using second = await open(whole.url);
  await refused("verification_failed", upload(retryingChunks(second.chunks, { baseMs: 1 })));
});

test("a part that the server fails at is sent again, and only that; one that stays so says what to do", async () => {
  const sent: string[] = [];
  let bad = 2;
  const server = (): Answer => {
    const good = multipart({ complete: [done()] });
    return (request, response) => {
      const part = queryOf(request).get("partNumber");
      if (request.method === "PUT" && part !== null) sent.push(part);
      if (part !== "2" || bad === 0) return good(request, response);
      bad -= 1;
      request.resume().on("end", () => failed("InternalError", { status: 500 })(request, response));
    };
  };
  const two = async (chunks: ChunkAccess) => {
    const sink = await chunks.create("f", { ...WRITING, size: 8 * MIB + CONTENT.length });
    await sink.write(0, [Buffer.alloc(8 * MIB)], never);
    await sink.write(8 * MIB, [CONTENT], never);
  };
  await using healing = await webServer(server());
  await using backend = await open(healing.url);
  await two(retryingChunks(backend.chunks, { baseMs: 1 }));
  expect(sent).toEqual(["1", "2", "2", "2"]);
  bad = Number.POSITIVE_INFINITY;
  const error = await refused("io_error", two(retryingChunks(backend.chunks, { baseMs: 1 })));
  expect(error).toMatchObject({ peer: "box", message: "box: no (500)" });
  expect(error.hint).toContain("the server's log says why");
});

test("a list of an upload's parts that goes round", async () => {
  await using server = await webServer((_request, response) => {
    const part = "<Part><PartNumber>1</PartNumber><Size>1</Size></Part>";
    const next = "<NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>true</IsTruncated>";
    xml(response, `<ListPartsResult>${part}${next}</ListPartsResult>`);
  });
  await using backend = await open(server.url);
  const resume = Buffer.from(JSON.stringify({ uploadId: "u", partBytes: 8 * MIB }));
  await refused("protocol_violation", backend.chunks.create("f", { ...WRITING, size: 10, resume }));
});
