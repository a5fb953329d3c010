import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, it } from "vitest";
import { StartRequestSchema } from "../../gen/packetboat/v1/transfer_pb.ts";
import { expireJobs } from "./history.ts";
import type { JobState } from "./record.ts";
import { type JobStore, openJobs } from "./store.ts";

let top: string;
let count = 0;
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "pb-history-"));
});
afterAll(() => rm(top, { recursive: true, force: true }));

const DAY_MS = 86_400_000;
const NOW = Date.parse("2026-06-01T00:00:00Z");

type Made = readonly [label: string, state: JobState, ageMs: number, resumable?: boolean];

async function storeWith(jobs: readonly Made[]): Promise<JobStore> {
  count += 1;
  const store = openJobs(join(top, `home${count}`));
  for (const [label, state, ageMs, resumable = true] of jobs) {
    const request = create(StartRequestSchema);
    const made = { fingerprint: "", source: "", destination: "", resumable, label, request };
    const { record } = await store.create(made);
    await store.setState(record.id, { state, run: 0, changedAt: "" });
    const at = new Date(NOW - ageMs);
    await utimes(join(store.at(record.id), "state"), at, at);
  }
  return store;
}

async function labelsAfter(store: JobStore, nowMs = NOW): Promise<string[]> {
  const forget = (job: Awaited<ReturnType<JobStore["read"]>>) => store.remove(job.record.id);
  await expireJobs(store, { keepMs: 30 * DAY_MS, nowMs, forget });
  return (await store.list()).jobs.map(({ record }) => record.label).sort();
}

it("removes what killed processes left of jobs that they made or removed, and nothing of others", async () => {
  const store = await storeWith([["young", "done", DAY_MS]]);
  const [made] = await readdir(store.folder);
  const left = {
    [`.${made}.gone`]: 0,
    [`.${made}.new`]: 2 * 3_600_000,
    [`.${randomUUID()}.new`]: 0,
    ".gone": 0,
  };
  for (const [name, ageMs] of Object.entries(left)) {
    await mkdir(join(store.folder, name, "checkpoint"), { recursive: true });
    await utimes(join(store.folder, name), new Date(NOW - ageMs), new Date(NOW - ageMs));
  }
  expect(await labelsAfter(store)).toEqual(["young"]);
  const [, , making = ""] = Object.keys(left);
  expect((await readdir(store.folder)).sort()).toEqual([making, ".gone", made].sort());
});

it("forgets what has ended before its time, and nothing that can still go on for its age", async () => {
  const store = await storeWith([
    ["old", "done", 31 * DAY_MS],
    ["young", "done", 29 * DAY_MS],
    ["failed", "failed", 31 * DAY_MS],
    ["paused", "paused", 300 * DAY_MS],
  ]);
  expect(await labelsAfter(store)).toEqual(["paused", "young"]);
});

it("forgets an interrupted stream for its age, as it goes on with nothing, and no other interrupted job", async () => {
  // "running" without a process.
  const store = await storeWith([
    ["old stream", "running", 31 * DAY_MS, false],
    ["young stream", "running", 29 * DAY_MS, false],
    ["old", "running", 31 * DAY_MS],
  ]);
  expect(await labelsAfter(store)).toEqual(["old", "young stream"]);
});

it.each([10, -10])("a clock %i years off forgets nothing, and ages count on from there", async (years) => {
  const store = await storeWith([
    ["a", "done", 0],
    ["b", "failed", 5 * DAY_MS],
  ]);
  const wrong = NOW + years * 365 * DAY_MS;
  expect(await labelsAfter(store, wrong)).toEqual(["a", "b"]);
  const [job] = (await store.list()).jobs;
  const { mtimeMs } = await stat(join(store.at(job?.record.id ?? ""), "state"));
  expect(mtimeMs).toBe(wrong);
  expect(await labelsAfter(store, wrong + 31 * DAY_MS)).toEqual([]);
});
