import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ReceiptSchema, StartRequestSchema } from "../../gen/packetboat/v1/transfer_pb.ts";
import { isAlive, ownProcess } from "./process.ts";
import { writeRun } from "./record.ts";
import { type JobStore, type NewJob, openJobs } from "./store.ts";

let top: string;
let count = 0;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "pb-jobs-"));
});
afterAll(() => rm(top, { recursive: true, force: true }));

function newStore(): JobStore {
  count += 1;
  return openJobs(join(top, `home${count}`));
}

const job = (more: Partial<NewJob> = {}): NewJob => ({
  fingerprint: "f",
  label: "",
  source: "/a",
  destination: "box:/b",
  resumable: true,
  request: create(StartRequestSchema, { move: true, options: { filesFrom: [new Uint8Array([0xff, 0x41])] } }),
  ...more,
});

const code = (text: string) => expect.objectContaining({ code: text });

describe("records of jobs", () => {
  it("are whole when they are listed, newest first, whatever the clock says", async () => {
    const store = newStore();
    expect(await store.list()).toEqual({ jobs: [], damaged: [] });
    const first = await store.create(job({ label: "first" }));
    vi.useFakeTimers({ now: new Date("2016-01-01"), toFake: ["Date"] });
    const second = await store.create(job({ label: "second" }));
    vi.useRealTimers();
    const { jobs } = await store.list();
    expect(jobs.map(({ record }) => record.label)).toEqual(["second", "first"]);
    expect(await store.read(first.record.id)).toEqual(first);
    expect(second.status).toBe("queued");
    expect((await readdir(store.folder)).length).toBe(2);
  });

  it("are surveyed: those of a fingerprint that can go on, the order of all, and no word of damaged ones", async () => {
    const store = newStore();
    expect(await store.survey("f")).toEqual({ unfinished: [], running: [], lastSequence: 0 });
    const states = ["paused", "done", "failed", "cancelled"] as const;
    const made = [];
    for (const state of states) {
      const { record } = await store.create(job({ fingerprint: "f" }));
      await store.setState(record.id, { state, run: 0, changedAt: "" });
      made.push(record.id);
    }
    const other = await store.create(job({ fingerprint: "g" }));
    const torn = await store.create(job({ fingerprint: "f" }));
    await writeFile(join(store.at(torn.record.id), "job.json"), "{");
    const survey = await store.survey("f");
    expect(survey.unfinished.map(({ record }) => record.id)).toEqual([made[2], made[0]]);
    expect(survey.lastSequence).toBe(other.record.sequence);
    expect((await store.create(job(), survey)).record.sequence).toBe(other.record.sequence + 1);
    expect(await store.stateTimes()).toHaveLength(7);
  });

  it("are found by id, by a prefix that one has, by a label that one has", async () => {
    const store = newStore();
    const one = await store.create(job({ label: "nightly" }));
    await store.create(job({ label: "twice" }));
    await store.create(job({ label: "twice" }));
    const { id } = one.record;
    for (const text of [id, id.slice(0, 13), "nightly"]) expect((await store.find(text)).record.id).toBe(id);
    await expect(store.find("twice")).rejects.toThrow(code("invalid_argument"));
    await expect(store.find("")).rejects.toThrow(code("not_found"));
    await expect(store.find("../x")).rejects.toThrow(code("not_found"));
  });

  it("are run by one process at a time", async () => {
    const store = newStore();
    const queued = await store.create(job());
    const { id } = queued.record;
    const claims = await Promise.allSettled([store.claim(queued), store.claim(queued), store.claim(queued)]);
    expect(claims.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(await store.read(id)).toMatchObject({ status: "running", pid: process.pid, run: 1 });
    await expect(store.claim(await store.read(id))).rejects.toThrow(code("exists"));
    await store.setState(id, { state: "paused", run: 1, changedAt: "" });
    const paused = await store.read(id);
    expect(paused).toMatchObject({ status: "paused", pid: undefined });
    expect((await store.claim(paused)).run).toBe(2);
  });

  it.each([
    ["another process has the number", { startTicks: 1 }],
    ["the machine was started anew", { bootId: "another" }],
    ["there is no such process", { pid: 2 ** 22 + 1 }],
  ])("are interrupted when %s", async (_, change) => {
    const store = newStore();
    const { record } = await store.create(job());
    const own = ownProcess();
    expect(isAlive(own)).toBe(true);
    await writeFile(join(store.at(record.id), "run-1"), writeRun({ ...own, ...change }));
    await store.setState(record.id, { state: "running", run: 1, changedAt: "" });
    const found = await store.read(record.id);
    expect(found).toMatchObject({ status: "interrupted", run: 1 });
    expect((await store.claim(found)).run).toBe(2);
  });

  it("that were cut short, or are of a later version, are told and hide no others", async () => {
    const store = newStore();
    const [torn, later, good] = [
      await store.create(job()),
      await store.create(job()),
      await store.create(job()),
    ];
    await writeFile(join(store.at(torn.record.id), "state"), '{"format":1,"sta');
    await writeFile(join(store.at(later.record.id), "job.json"), '{"format":99}');
    const { jobs, damaged } = await store.list();
    expect(jobs.map(({ record }) => record.id)).toEqual([good.record.id]);
    expect(Object.fromEntries(damaged.map(({ id, error }) => [id, error.code]))).toEqual({
      [torn.record.id]: "corrupt_checkpoint",
      [later.record.id]: "unsupported_version",
    });
  });

  it("keep the receipt, and go as a whole", async () => {
    const store = newStore();
    const { record } = await store.create(job());
    expect(await store.receipt(record.id)).toBeUndefined();
    const receipt = create(ReceiptSchema, { jobId: record.id, state: "done", bytes: 7n });
    await store.setReceipt(record.id, receipt);
    expect(await store.receipt(record.id)).toEqual(receipt);
    await store.remove(record.id);
    await store.remove(record.id);
    expect(await readdir(store.folder)).toEqual([]);
  });
});
