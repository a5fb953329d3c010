/**
 * Transfers between real servers that are killed half-way and given again: each kind of source and of destination that can go on, once.
 * `PB_MATRIX=full` runs every pair of them.
 */

import type { ChildProcess } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PASSWORD, USER } from "../servers/accounts.ts";
import { type RealEndpoint, SERVERS } from "../servers/endpoints.ts";
import * as proftpd from "../servers/proftpd.ts";
import { type Pair, startPair } from "./harness.ts";
import { exited, PB, start } from "./lib/process.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { untilTrue } from "./lib/running.ts";
import { leftovers } from "./lib/tree.ts";

const MIB = 1 << 20;
/** Three parts of a multipart upload and something. */
const SIZE = 25 * MIB;
/** Slow enough to be cut off in the middle; two of those parts. */
const LIMIT = "7M";
const HALF = 14 * MIB;

const SOURCES = ["here", "box", "web", "dav", "sftp", "ftp", "sthree"];
/** What WebDAV and HTTP take, they take whole. */
const DESTINATIONS = ["here", "box", "sftp", "ftp", "sthree"];
const HAVE_ENGINES = new Set(["here", "box"]);
const SOME = [
  ["here", "sftp"],
  ["box", "ftp"],
  ["web", "sthree"],
  ["dav", "box"],
  ["sftp", "here"],
  ["ftp", "sthree"],
  ["sthree", "sftp"],
] as const;
const ALL = SOURCES.flatMap((from) => DESTINATIONS.map((to) => [from, to] as const)).filter(
  (pair) => !pair.every((name) => HAVE_ENGINES.has(name)),
);
const PAIRS = process.env.PB_MATRIX === "full" ? ALL : SOME;

interface Receipt {
  readonly jobId: string;
  readonly state: string;
  readonly files: number;
  readonly resumedBytes: number;
  readonly redoneFiles: number;
}

const noProftpd = proftpd.available();
const endpoints = new Map<string, RealEndpoint>();
let pair: Pair;
/** Keys of hosts and the like are this account's. */
const env = () => ({ HOME: pair.scratch.at("account"), SSH_AUTH_SOCK: "" });

const missing = SERVERS.flatMap(({ name, missing: why }) => (why ? [`${name}: ${why}`] : []));
const absent = new Set(missing.map((each) => each.slice(0, each.indexOf(":"))));
const present = PAIRS.filter((names) => names.every((name) => !absent.has(name)));

beforeAll(async () => {
  pair = await startPair();
  await mkdir(pair.scratch.at("account"));
  await mkdir(pair.scratch.at("here"));
  for (const { name, missing: why, start: begin } of SERVERS) {
    if (why !== undefined) continue;
    const endpoint = await begin();
    endpoints.set(name, endpoint);
    const { kind, settings, secrets } = endpoint.remote;
    const set = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
    const stdin = Object.entries(secrets)
      .map(([key, value]) => `${key} = ${value}\n`)
      .join("");
    const more = stdin === "" ? [] : ["--stdin"];
    await pair.ok(["remote", "add", name, kind, ...set, ...more], { env: env(), stdin });
  }
});
afterAll(async () => {
  await pair?.[Symbol.asyncDispose]();
  await Promise.allSettled([...endpoints.values()].map((each) => each.stop()));
});

function rootOf(name: string): string {
  if (name === "here") return pair.scratch.at("here");
  return name === "box" ? pair.root : (endpoints.get(name)?.root ?? "");
}

const placeOf = (name: string, path: string) =>
  name === "here" ? join(rootOf(name), path) : `${name}:/${path}`;

/** A file at one place, and where it is to go at the other. */
async function scene(from: string, to: string) {
  const [source, target] = [`from-${to}/file`, `of-${from}/file`];
  const [file, copy] = [join(rootOf(from), source), join(rootOf(to), target)];
  await mkdir(dirname(file), { recursive: true });
  await writeRandomFile(file, SIZE, `${from} ${to}`);
  return { file, copy, words: ["transfer", placeOf(from, source), placeOf(to, target)] };
}

/** Runs until half of it has arrived, and ends it as a lack of memory would. */
async function killHalfWay(words: readonly string[]): Promise<void> {
  const args = [...words, "--limit", LIMIT, "-o", "jsonl"];
  const child = start(PB, args, { env: { ...env(), PB_HOME: pair.home }, cwd: pair.scratch.path });
  child.stdin?.end();
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const half = await untilBytes(child, HALF);
  child.kill("SIGKILL");
  await exited(child);
  expect({ half, said }).toEqual({ half: true, said });
}

async function untilBytes({ stdout }: ChildProcess, bytes: number): Promise<boolean> {
  if (!stdout) return false;
  for await (const line of createInterface({ input: stdout })) {
    const event = JSON.parse(line) as { readonly bytes?: number };
    if ((event.bytes ?? 0) >= bytes) return true;
  }
  return false;
}

async function openUploads(): Promise<number> {
  const remote = endpoints.get("sthree")?.remote;
  if (!remote) return 0;
  const { endpoint, region, bucket } = remote.settings;
  const { access_key_id: accessKeyId = "", secret_access_key: secretAccessKey = "" } = remote.secrets;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({
    endpoint: String(endpoint),
    region: String(region),
    credentials,
    forcePathStyle: true,
  });
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: String(bucket) }));
  client.destroy();
  return Uploads.length;
}

/** What is there of files that are not whole, at a place. */
async function unfinished(name: string): Promise<number> {
  const parts = await leftovers(rootOf(name));
  return parts.length + (name === "sthree" ? await openUploads() : 0);
}

describe("a transfer that is killed half-way and given again", () => {
  test.each(present)("goes on from %s to %s", async (from, to) => {
    const { file, copy, words } = await scene(from, to);
    await killHalfWay(words);
    const again = await pair.ok([...words, "--json"], { env: env() });
    const receipt = again.json<Receipt>();
    expect(receipt).toMatchObject({ state: "done", files: 1, redoneFiles: 0 });
    expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
    expect(receipt.resumedBytes).toBeLessThan(SIZE);
    expect(await sha256OfFile(copy)).toBe(await sha256OfFile(file));
    expect(await unfinished(to)).toBe(0);
    await rm(dirname(copy), { recursive: true });
  });

  test.each(["sftp", "ftp", "sthree"].filter((name) => !absent.has(name)))(
    "leaves nothing at %s when it is forgotten",
    async (to) => {
      const { words } = await scene("here", to);
      await killHalfWay(words);
      expect(await unfinished(to)).toBe(1);
      const jobs = (await pair.ok(["jobs", "list", "--json"])).json<{ id: string; state: string }[]>();
      const killed = jobs.find(({ state }) => state === "interrupted");
      await pair.ok(["jobs", "forget", killed?.id ?? ""], { env: env() });
      await untilTrue("nothing is left", async () => (await unfinished(to)) === 0);
    },
  );

  test.skipIf(noProftpd !== undefined)(
    `begins anew, and says so, where the server continues no upload${noProftpd ? ` (SKIPPED: ${noProftpd})` : ""}`,
    async () => {
      await using server = await proftpd.startProftpd({ tls: "none", storeRestart: false });
      const { host, port, folder } = server;
      const root = join(folder, "home");
      const set = [`host=${host}`, `port=${port}`, `user=${USER}`, `path=${root}`, "tls=off"];
      const add = ["remote", "add", "once", "ftp", ...set.flatMap((each) => ["--set", each]), "--stdin"];
      await pair.ok(add, { env: env(), stdin: `password = ${PASSWORD}\n` });
      const { file } = await scene("here", "once");
      const words = ["transfer", file, "once:/copy"];
      await killHalfWay(words);
      const again = await pair.ok([...words, "--json"], { env: env() });
      const receipt = again.json<Receipt & { readonly notices: readonly { readonly code: string }[] }>();
      expect(receipt).toMatchObject({ state: "done", files: 1, resumedBytes: 0 });
      expect(receipt.notices.map(({ code }) => code)).toContain("begun-anew");
      expect(await sha256OfFile(join(root, "copy"))).toBe(await sha256OfFile(file));
      expect(await leftovers(root)).toEqual([]);
    },
  );

  if (missing.length > 0) {
    test.skip(`with servers that are not here (SKIPPED: ${missing.join("; ")})`, () => {});
  }
});
