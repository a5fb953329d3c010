/** What an unfinished upload has left at an endpoint without an engine, when its job is forgotten. */

import { mkdirSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../../backend/backend.ts";
import { partName } from "../../backend/part-name.ts";
import { folderEndpoint } from "../../backend/testing/folder-endpoint.ts";
import { openCheckpoint } from "../../checkpoint/checkpoint.ts";
import { inspectCheckpoint } from "../../checkpoint/inspect.ts";
import { type StartRequest, StartRequestSchema } from "../../gen/packetboat/v1/transfer_pb.ts";
import { Metrics } from "../../metrics/metrics.ts";
import { PbError } from "../../model/error.ts";
import { pathBytes } from "../../model/path.ts";
import { openRoot } from "../../native/root.ts";
import { engine } from "../../native/session.ts";
import { nameTag } from "../../run/strays.ts";
import { bindingOf } from "../kept/checkpoint.ts";
import { type Loopback, startLoopback, transfer } from "../testing/loopback.ts";
import type { JobDeps } from "./deps.ts";
import { checkpointFolder } from "./discard.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { forgetExpired, forgetJob, openJob } from "./open.ts";
import { openJobs, type StoredJob } from "./store.ts";

let loop: Loopback;
let cloud: Backend;
let count = 0;
let writes = 0;
const never = new AbortController().signal;

beforeAll(async () => {
  loop = await startLoopback({
    remotes: {
      cloud: async () => {
        const root = loop.at("cloud");
        mkdirSync(root, { recursive: true });
        const fileRoot = await openRoot({ directory: root, resolve: "beneath", writable: true });
        const before = async (call: string) => {
          if (call !== "write") return;
          writes -= 1;
          if (writes >= 0) return;
          // All tries of a call take longer than the job's deadline.
          await sleep(400);
          throw new PbError("timeout", "nothing is heard of it");
        };
        cloud = folderEndpoint({ before, root, fileRoot, name: "cloud" });
        return cloud;
      },
    },
  });
});
afterAll(() => loop[Symbol.asyncDispose]());

const store = () => openJobs(loop.at("home"));

function depsWith(open: () => Promise<Backend>): JobDeps {
  return {
    backends: { open, watch: () => () => {} },
    engine,
    metrics: new Metrics(),
    store: store(),
    checkpoints: { open: openCheckpoint, inspect: inspectCheckpoint },
    live: new Map(),
    spoolParent: loop.at("spool"),
    keeps: true,
  };
}

/** A job that stopped with half of `large` there. */
async function half(): Promise<{ job: StoredJob; tree: string }> {
  count += 1;
  const tree = `t${count}`;
  const folder = loop.at("here", tree);
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/large`, Buffer.alloc(11_000_000, "x"));
  writes = 6;
  await transfer(loop, { from: folder, to: `cloud:/${tree}`, deadlineMs: 3_000n });
  const { jobs } = await store().list();
  const job = jobs.find(({ record }) => record.destination.endsWith(tree));
  if (!job) throw new Error("there is no job");
  return { job, tree };
}

const parts = async (tree: string) =>
  (await readdir(loop.at("cloud", tree))).filter((name) => name.startsWith(".pb-")).length;
const away = new PbError("unreachable", "no route to it");
const unreachable = () => ({
  ...depsWith(async () => {
    const create = () => Promise.reject(away);
    const { native } = cloud;
    if (native.kind !== "chunks") throw new Error(native.kind);
    const chunks = Object.assign(Object.create(native.chunks), { create });
    return Object.assign(Object.create(cloud), { native: { ...native, chunks } });
  }),
});

describe("a job that has left something at an endpoint", () => {
  it.each([
    ["that is not reached", unreachable],
    ["that is no remote any more", () => depsWith(() => Promise.reject(away))],
  ])("says what and where when it is to be forgotten, at one %s", async (_, deps) => {
    const { job, tree } = await half();
    const error = await forgetJob(deps(), job, never).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "unreachable", peer: "cloud" });
    const { hint = "" } = error as PbError;
    expect(hint).toContain(`cloud:/${tree}/large`);
    expect(hint).not.toContain("the server removes it");
    expect((await store().read(job.record.id)).status).toBe("failed");
    expect(await parts(tree)).toBe(1);
  });

  it("leaves nothing there when its time is over", async () => {
    const { job, tree } = await half();
    expect(await parts(tree)).toBe(1);
    await forgetExpired(
      depsWith(async () => cloud),
      job,
      never,
    );
    expect(await parts(tree)).toBe(0);
    await expect(store().read(job.record.id)).rejects.toThrow();
  });

  it("stays when its time is over and the endpoint is not there, and names what is", async () => {
    const { job, tree } = await half();
    await expect(forgetExpired(unreachable(), job, never)).rejects.toThrow("can't be removed");
    const { state } = await store().read(job.record.id);
    expect([state.state, state.error?.hint]).toEqual([
      "failed",
      expect.stringContaining(`cloud:/${tree}/large`),
    ]);
  });
});

/** A stream that was killed, and its part. */
async function killedStream(): Promise<{ job: StoredJob; tree: string; request: StartRequest }> {
  count += 1;
  const tree = `t${count}`;
  await mkdir(loop.at("cloud", tree), { recursive: true });
  const path = `/${tree}/file`;
  const destination = { remote: "cloud", path: pathBytes(path) };
  const request = create(StartRequestSchema, { sourceFd: 0, destination });
  const fingerprint = fingerprintOf(request);
  const made = { fingerprint, label: "", source: "standard input", destination: `cloud:${path}` };
  const { record } = await store().create({ ...made, resumable: false, request });
  const target = { path, exactName: true };
  const begun = { intoExisting: false, target };
  // Without a process that runs it: interrupted.
  await store().setState(record.id, { state: "running", run: 0, changedAt: "", begun });
  const directory = checkpointFolder({ store: store() }, record.id);
  await (await openCheckpoint({ directory, binding: bindingOf(record.id, target) })).close();
  await writeFile(loop.at("cloud", tree, partName(nameTag(record.id))), "half");
  await writeFile(loop.at("cloud", tree, partName(1)), "of another job");
  return { job: await store().read(record.id), tree, request };
}

const notReached = () => {
  const list = () => {
    throw away;
  };
  return depsWith(async () => Object.assign(Object.create(cloud), { list }));
};

describe("a stream that was killed while it went to an endpoint", () => {
  it("is forgotten by the next, which says so", async () => {
    const { job, tree, request } = await killedStream();
    const deps = depsWith(async () => cloud);
    const { notices } = await openJob(deps, request, never);
    expect(notices).toMatchObject([{ code: "stream-removed" }]);
    expect(await parts(tree)).toBe(1);
    await expect(store().read(job.record.id)).rejects.toThrow();
  });

  it("holds up no other while its endpoint is not there, and stays", async () => {
    const { job, tree, request } = await killedStream();
    const { notices } = await openJob(notReached(), request, never);
    expect(notices).toMatchObject([
      { code: "stream-left", message: expect.stringContaining("nobody else removes it") },
    ]);
    expect((await store().read(job.record.id)).status).toBe("interrupted");
    await expect(forgetExpired(notReached(), job, never)).rejects.toThrow("can't be removed");
    expect(await parts(tree)).toBe(2);
    await forgetExpired(
      depsWith(async () => cloud),
      await store().read(job.record.id),
      never,
    );
    expect(await parts(tree)).toBe(1);
  });
});
