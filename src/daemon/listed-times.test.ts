/** The time of an object of S3 is asked for where something is decided by it, and comes with the content where nothing is. */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openS3 } from "../backend/s3/backend.ts";
import { type WebServer, webServer } from "../backend/testing/web-server.ts";
import { Overwrite } from "../gen/packetboat/v1/transfer_pb.ts";
import { Secret } from "../model/endpoint.ts";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

interface Stored {
  readonly content: Buffer;
  readonly etag: string;
  /** Seconds since 1970, as its uploader kept it. */
  readonly mtime: string;
}

/** Of objects as they were at first; and when all were uploaded. */
const MTIME_NS = 1_500_000_000_123_456_789n;
const UPLOADED = "2024-01-01T00:00:00.000Z";
const LARGE = Buffer.alloc(9_000_001, "larger than what is read whole\n");

/** Some servers list ETags without. */
let quotes = true;
let afterListing = () => {};
let objects = new Map<string, Stored>();
/** Of large objects no more than so much. */
let bytesLeft = Number.POSITIVE_INFINITY;
let server: WebServer;
let loop: Loopback;

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
  const key = decodeURIComponent(pathname).replace(/^\/b\/?/, "");
  const stored = objects.get(key);
  if (key === "" && request.method === "HEAD") return void response.writeHead(200).end();
  if (key === "") {
    response.writeHead(200, { "content-type": "application/xml" }).end(page(searchParams));
    if (searchParams.has("delimiter")) afterListing();
    return;
  }
  if (stored === undefined) return void response.writeHead(404).end();
  if (request.method === "DELETE") objects.delete(key);
  if (request.method === "DELETE") return void response.writeHead(204).end();
  give(request, response, stored);
}

function give(request: IncomingMessage, response: ServerResponse, { content, etag, mtime }: Stored): void {
  const properties = {
    etag,
    "last-modified": new Date(UPLOADED).toUTCString(),
    "x-amz-meta-mtime": mtime,
  };
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  const part = from === undefined ? content : content.subarray(Number(from), Number(to) + 1);
  const range = from === undefined ? {} : { "content-range": `bytes ${from}-${to}/${content.length}` };
  const match = request.headers["if-match"];
  if (match !== undefined && match !== etag) return void response.writeHead(412).end();
  const status = from === undefined ? 200 : 206;
  response.writeHead(status, { ...properties, ...range, "content-length": part.length });
  if (request.method === "HEAD") return void response.end();
  if (from === undefined) return void response.end(part);
  const sent = part.subarray(0, Math.max(0, bytesLeft));
  bytesLeft -= part.length;
  // Then it stands still: what breaks off would be tried again, for a time that chance decides.
  if (sent.length === part.length) response.end(part);
  else response.write(sent);
}

function page(query: URLSearchParams): string {
  const prefix = query.get("prefix") ?? "";
  const inside = [...objects].filter(([key]) => key.startsWith(prefix));
  const contents = inside.map(
    ([key, { content, etag }]) =>
      `<Contents><Key>${key}</Key><Size>${content.length}</Size><ETag>${quotes ? etag : etag.slice(1, -1)}</ETag><LastModified>${UPLOADED}</LastModified></Contents>`,
  );
  return `<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>${inside.length}</KeyCount>${contents.join("")}</ListBucketResult>`;
}

beforeAll(async () => {
  server = await webServer(answer);
  const secrets: Readonly<Record<string, string>> = {
    access_key_id: "SAILOR",
    secret_access_key: "treasure",
  };
  const open = () =>
    openS3(
      {
        kind: "s3",
        settings: { endpoint: server.url, bucket: "b" },
        secret: async (name) => (secrets[name] === undefined ? undefined : new Secret(secrets[name])),
      },
      { name: "cloud", home: "/nonexistent", env: {} },
    );
  loop = await startLoopback({ remotes: { cloud: open } });
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const NAMES = ["a", "b", "large", "none"];
const object = (text: string | Buffer, etag: string, mtime = "1500000000.123456789"): Stored => ({
  content: Buffer.from(text),
  etag: `"${etag}"`,
  mtime,
});

let tree = "";
let count = 0;
beforeEach(() => {
  count += 1;
  tree = `t${count}`;
  objects = new Map([
    [`${tree}/a`, object("aaa", "1")],
    [`${tree}/b`, object("bbb", "2")],
    [`${tree}/large`, object(LARGE, "3")],
    [`${tree}/none`, object("", "4")],
  ]);
  bytesLeft = Number.POSITIVE_INFINITY;
  quotes = true;
  afterListing = () => {};
  (server.requests as unknown[]).length = 0;
});

/** What was asked about objects of the tree, by name. */
function asked(method: string): string[] {
  const below = `/b/${tree}/`;
  const found = server.requests.filter((each) => each.method === method && each.url.startsWith(below));
  return found.map(({ url }) => new URL(url, "http://x").pathname.slice(below.length)).sort();
}

async function isWhole(folder: string, names: readonly string[] = NAMES): Promise<void> {
  for (const name of names) {
    const { mtimeNs } = await stat(`${folder}/${name}`, { bigint: true });
    expect([name, mtimeNs]).toEqual([name, MTIME_NS]);
  }
  expect(await readFile(`${folder}/b`, "utf8")).toBe("bbb");
  expect((await readFile(`${folder}/large`)).equals(LARGE)).toBe(true);
}

const stateOf = ({ receipt, error }: Awaited<ReturnType<typeof transfer>>) =>
  error?.message ?? `${receipt?.state} ${receipt?.errors.map(({ message }) => message).join(", ")}`;

describe("small objects", () => {
  it.each(["here", "box"] as const)("are asked for once where nothing is: %s", async (where) => {
    const to = where === "here" ? loop.at("here", tree) : `box:/${tree}`;
    const done = await transfer(loop, { from: `cloud:/${tree}`, to });
    expect(stateOf(done)).toBe("done ");
    expect([asked("HEAD"), asked("GET").filter((name) => name !== "large")]).toEqual([
      ["large"],
      ["a", "b", "none"],
    ]);
    await isWhole(loop.at(where, tree));
  });

  it("arrive from a server that lists no ETag as it takes it", async () => {
    quotes = false;
    const to = loop.at("here", tree);
    expect(stateOf(await transfer(loop, { from: `cloud:/${tree}`, to }))).toBe("done ");
    await isWhole(to);
  });

  it("that are longer when they are read than when they were listed arrive as they are, with their time", async () => {
    const to = loop.at("here", tree);
    afterListing = () => objects.set(`${tree}/a`, object("longer by now", "7", "1600000000.5"));
    expect(stateOf(await transfer(loop, { from: `cloud:/${tree}`, to }))).toBe("done ");
    expect(await readFile(`${to}/a`, "utf8")).toBe("longer by now");
    expect((await stat(`${to}/a`, { bigint: true })).mtimeNs).toBe(1_600_000_000_500_000_000n);
    await isWhole(to, ["b", "large", "none"]);
  });

  it("are asked for once where all is written over", async () => {
    const to = loop.at("here", tree);
    await mkdir(to, { recursive: true });
    await writeFile(`${to}/b`, "old");
    const options = { overwrite: Overwrite.ALWAYS };
    expect(stateOf(await transfer(loop, { from: `cloud:/${tree}`, to, options }))).toBe("done ");
    expect(asked("HEAD")).toEqual(["large"]);
    await isWhole(to);
  });

  it("are asked for their times where those decide what is written", async () => {
    const to = loop.at("here", tree);
    expect(stateOf(await transfer(loop, { from: `cloud:/${tree}`, to }))).toBe("done ");
    objects.set(`${tree}/a`, object("aab", "5", "1600000000.5"));
    (server.requests as unknown[]).length = 0;
    expect(stateOf(await transfer(loop, { from: `cloud:/${tree}`, to }))).toBe("done ");
    expect([asked("HEAD"), asked("GET")]).toEqual([NAMES, ["a"]]);
    await isWhole(to, ["b", "large", "none"]);
    expect(await readFile(`${to}/a`, "utf8")).toBe("aab");
  });

  it("are asked for their times where only those of an age are wanted", async () => {
    const to = loop.at("here", tree);
    // By their times they are; by when they were uploaded they are not.
    const minAge = BigInt(Math.round((Date.now() - Date.parse("2020-01-01")) / 1_000));
    const done = await transfer(loop, { from: `cloud:/${tree}`, to, options: { minAge } });
    expect(stateOf(done)).toBe("done ");
    expect(asked("HEAD")).toEqual(NAMES);
    await isWhole(to);
  });

  it("are asked for their times where they are removed afterwards, if they are the same", async () => {
    const to = loop.at("here", tree);
    expect(stateOf(await transfer(loop, { from: `cloud:/${tree}`, to, move: true }))).toBe("done ");
    expect(new Set(asked("HEAD"))).toEqual(new Set(NAMES));
    expect([...objects.keys()]).toEqual([]);
    await isWhole(to);
  });

  it("that arrived before a transfer broke off are the same to the next run, unless they have changed", async () => {
    const to = loop.at("here", tree);
    bytesLeft = 5_000_000;
    const half = await transfer(loop, { from: `cloud:/${tree}`, to, deadlineMs: 3_000n });
    expect(half.receipt?.state).not.toBe("done");
    bytesLeft = Number.POSITIVE_INFINITY;
    objects.set(`${tree}/a`, object("AAA", "6", "1600000000.5"));
    (server.requests as unknown[]).length = 0;
    const done = await transfer(loop, { from: `cloud:/${tree}`, to });
    expect(stateOf(done)).toBe("done ");
    expect(done.receipt?.redone.map(({ reason }) => reason)).toEqual(["source_changed"]);
    expect([asked("HEAD"), new Set(asked("GET"))]).toEqual([NAMES, new Set(["a", "large"])]);
    expect(done.receipt?.resumedBytes).toBeGreaterThan(1_000_000n);
    await isWhole(to, ["b", "large", "none"]);
    expect(await readFile(`${to}/a`, "utf8")).toBe("AAA");
  });
});
