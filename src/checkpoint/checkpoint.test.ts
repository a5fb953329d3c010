import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Checkpoint } from "../model/checkpoint.ts";
import { type OpenCheckpointOptions, openCheckpoint } from "./checkpoint.ts";
import { type CheckpointFiles, nodeFiles } from "./files.ts";
import { inspectCheckpoint } from "./inspect.ts";
import { batch, done, key, Model, part, runs } from "./testing/history.ts";

const made: string[] = [];
let directory: string;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), "pb-checkpoint-"));
  made.push(folder);
  directory = join(folder, "jobs", "j", "checkpoint");
});
afterAll(async () => {
  for (const each of made) await rm(each, { recursive: true, force: true });
});

const binding = { job: "j", destination: "d" };
const open = (more: Partial<OpenCheckpointOptions> = {}) => openCheckpoint({ directory, binding, ...more });
const names = async () => (await readdir(directory)).sort();
const active = () => readdir(join(directory, "active"));

/** `files` whose syncs of files wait until `let go`. */
function held() {
  let release: () => void = () => {};
  let gate = Promise.resolve();
  const hold = () => {
    gate = new Promise((resolve) => {
      release = resolve;
    });
  };
  const wait = async (path: string) => (/\.tmp$/.test(path) ? gate : undefined);
  const files: CheckpointFiles = {
    ...nodeFiles,
    create: async (path) => {
      const file = await nodeFiles.create(path);
      const sync = async () => {
        await wait(path);
        await file.sync();
      };
      return { ...file, sync };
    },
  };
  return { files, hold, release: () => release() };
}

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await sleep(5);
}

describe("a checkpoint on a disk", () => {
  it("is private, knows after a restart what it knew, and says how much that is", async () => {
    const first = await open();
    await first.record(batch({ parts: [part(1, runs(1, [0, 3], [999, 1])), part(2, runs(2, [5, 1]))] }));
    await first.record(batch({ parts: [part(1, runs(3, [3, 1]))], done: done(2, 3), gone: key(9) }));
    const before = Model.of({ ...first.recovered, ...(await inspectCheckpoint(directory))?.recovered });
    await first.close();
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(join(directory, "done"))).mode & 0o777).toBe(0o600);

    await using second = await open();
    expect(Model.of(second.recovered).text()).toBe(before.text());
    expect(second.recovered).toMatchObject({ doneFiles: 2, doneBytes: 2_000, notes: [] });
    expect(second.recovered.partBytes).toBe(5 * 65_536);
    expect([second.isDone(key(2)), second.isDone(key(1))]).toEqual([true, false]);
    expect(second.recovered.parts[0]).toMatchObject({ target: "dir/file-1", inode: 0xffff_ffff_0000_0001n });
    expect(second.recovered.parts[0]).not.toHaveProperty("extra");
  });

  it("closed as it is after a job that ended well writes nothing more, and forgets nothing", async () => {
    const first = await open();
    await first.record(batch({ parts: [part(1, runs(1, [0, 3]))], done: done(2, 3) }));
    const { syncs } = first.stats();
    await first.close({ asItIs: true });
    expect(first.stats().syncs).toBe(syncs);
    expect(await names()).toContain("journal-1");
    await using second = await open();
    expect([second.isDone(key(2)), second.recovered.parts.length]).toEqual([true, 1]);
  });

  it("syncs the folders above once in a process, and again when they were made anew", async () => {
    const synced: string[] = [];
    const files: CheckpointFiles = {
      ...nodeFiles,
      syncFolder: async (path) => {
        synced.push(path);
        await nodeFiles.syncFolder(path);
      },
    };
    const jobs = dirname(dirname(directory));
    const above = async (name: string) => {
      synced.length = 0;
      const job = { job: name, destination: "d" };
      await using _ = await openCheckpoint({ directory: join(jobs, name), binding: job, files });
      return synced.filter((path) => !path.startsWith(join(jobs, name)));
    };
    const first = await above("a");
    expect(first.slice(0, 3)).toEqual([jobs, dirname(jobs), dirname(dirname(jobs))]);
    expect(first.at(-1)).toBe("/");
    expect(await above("b")).toEqual([jobs]);
    await rm(jobs, { recursive: true });
    expect(await above("c")).toEqual([jobs, dirname(jobs)]);
  });

  it("closed leaves snapshots and the index, and no journal", async () => {
    const checkpoint = await open();
    await checkpoint.record(batch({ parts: [part(1, runs(1, [0, 1]))], done: done(5) }));
    await checkpoint.close();
    await checkpoint.close();
    expect(await names()).toEqual(["active", "binding", "done"]);
    expect(await active()).toEqual([Buffer.from(key(1)).toString("hex")]);
    await expect(checkpoint.record(batch())).rejects.toMatchObject({ code: "aborted" });
  });

  it("discarded leaves nothing, and of others' files all", async () => {
    const checkpoint = await open({ limits: { snapshotUpdates: 1 } });
    await checkpoint.record(batch({ parts: [part(1, runs(1, [0, 1]))], done: done(5) }));
    await checkpoint.discard();
    await expect(stat(directory)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("makes no artefact of small files: a group in the journal, then one in the index", async () => {
    await using checkpoint = await open();
    for (let at = 0; at < 50; at += 1) await checkpoint.record(batch({ done: done(at, at + 50) }));
    expect(await names()).toEqual(["active", "binding", "journal-1"]);
    expect(await active()).toEqual([]);
    expect(checkpoint.stats()).toMatchObject({ batches: 50, snapshots: 0, doneFiles: 100 });
  });

  it("joins batches that wait to one write and one sync", async () => {
    await using checkpoint = await open();
    const { syncs } = checkpoint.stats();
    await Promise.all(
      Array.from({ length: 200 }, (_, at) => checkpoint.record(batch({ done: done(at % 256) }))),
    );
    expect(checkpoint.stats().syncs - syncs).toBeLessThan(10);
    const { recordLatency, bytesWritten, queuedBatches, oldestUnsyncedMs } = checkpoint.stats();
    expect(recordLatency.reduce((sum, count) => sum + count)).toBe(200);
    expect(bytesWritten).toBeGreaterThan(200 * 56);
    expect([queuedBatches, oldestUnsyncedMs]).toEqual([0, 0]);
  });

  it("commits no oftener than it must, however fast the disk is", async () => {
    await using checkpoint = await open({ limits: { commitMs: 50, commitBurst: 2 } });
    const began = performance.now();
    const { syncs } = checkpoint.stats();
    while (performance.now() - began < 500) {
      await Promise.all([1, 2, 3].map((number) => checkpoint.record(batch({ done: done(number) }))));
    }
    // One of them for the name of the journal.
    expect(checkpoint.stats().syncs - syncs).toBeLessThan(2 + 500 / 50 + 3);
  });

  it("writes a snapshot after ten updates or five seconds, and rotates the journal", async () => {
    let now = 0;
    await using checkpoint = await open({ now: () => now });
    const update = (at: number) => checkpoint.record(batch({ parts: [part(1, runs(1, [at, 1]))] }));
    for (let at = 0; at < 9; at += 1) await update(at);
    expect(await active()).toEqual([]);
    expect(checkpoint.stats()).toMatchObject({ activeFiles: 1, oldestUnflushedMs: 0 });
    await update(9);
    await until(() => checkpoint.stats().snapshots === 1);
    await update(10);
    now += 4_999;
    expect(checkpoint.stats().oldestUnflushedMs).toBe(4_999);
    await sleep(1_100);
    expect(checkpoint.stats().snapshots).toBe(1);
    now += 1;
    await until(() => checkpoint.stats().snapshots === 2);
    expect(await active()).toHaveLength(1);
  });

  it("starts more flush workers when snapshots lag, up to the bound, then makes record() wait", async () => {
    const disk = held();
    let now = 0;
    const limits = { snapshotUpdates: 1, generationBytes: 1_000, uncoveredBytes: 4_000, flushWorkers: 3 };
    await using checkpoint = await open({ files: disk.files, now: () => now, limits });
    disk.hold();
    let recorded = 0;
    const writing = (async () => {
      for (let at = 0; at < 80; at += 1) {
        await checkpoint.record(batch({ parts: [part(at % 20, runs(at, [at, 2]))] }));
        recorded += 1;
        now += 500;
      }
    })();
    await until(async () => {
      const before = recorded;
      await sleep(300);
      return recorded === before;
    });
    const { flushWorkers, queuedBatches, journalBytes } = checkpoint.stats();
    now += 7;
    disk.release();
    expect(recorded).toBeLessThan(80);
    expect({ flushWorkers, queuedBatches }).toEqual({ flushWorkers: 3, queuedBatches: 0 });
    expect(journalBytes).toBeGreaterThan(4_000);
    await writing;
    expect(recorded).toBe(80);
    expect(checkpoint.stats().backpressureMs).toBeGreaterThanOrEqual(7);
    await until(() => checkpoint.stats().flushWorkers === 0);
  });

  it("tells each worker's progress, which nobody waits for and no disk keeps", async () => {
    await using checkpoint = await open();
    await checkpoint.record(batch({ parts: [part(1, runs(1, [0, 2]), { worker: 3 })] }));
    const { syncs } = checkpoint.stats();
    checkpoint.note(key(1), { worker: 3, lastChunkRead: 9, bytesRead: 10 * 65_536 });
    checkpoint.note(key(1), { worker: 4, status: "waiting" });
    checkpoint.note(key(2), { worker: 4 });
    expect(checkpoint.progress()).toMatchObject([
      {
        ...{ target: "dir/file-1", durableBytes: 2 * 65_536 },
        workers: [
          { worker: 3, lastChunkRead: 9, lastChunkWritten: 1, bytesWritten: 2 * 65_536, status: "active" },
          { worker: 4, lastChunkWritten: -1, status: "waiting" },
        ],
      },
    ]);
    expect(checkpoint.stats().syncs).toBe(syncs);
  });

  it("keeps bytes of a mover of its own, appended, up to 8 MiB", async () => {
    const first = await open();
    for (const text of ["upload-1", "+a", "+b"]) {
      await first.record(batch({ parts: [part(1, runs(1), { extra: Buffer.from(text) })] }));
    }
    const extra = Buffer.alloc(8 << 20);
    await expect(first.record(batch({ parts: [part(1, runs(1), { extra })] }))).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await first.record(batch({ parts: [part(1, runs(1), { extra: Buffer.from("+c") })] }));
    await first.close();
    await using second = await open();
    expect(Buffer.from(second.recovered.parts[0]?.extra ?? []).toString()).toBe("upload-1+a+b+c");
  });

  it("is not opened by two at once", async () => {
    const both = await Promise.allSettled([open(), open()]);
    const opened = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(opened.length).toBeLessThan(2);
    for (const each of opened) await each.close();
  });

  it("compacts an index in which the same files were done again and again", async () => {
    const again = async (times: number) => {
      const checkpoint = await open();
      for (let time = 0; time < times; time += 1) {
        await checkpoint.record(batch({ done: done(...Array(200).keys()) }));
      }
      await checkpoint.close();
    };
    await again(20);
    const large = (await stat(join(directory, "done"))).size;
    await again(0);
    expect((await stat(join(directory, "done"))).size).toBeLessThan(large / 10);
    const inspected = await inspectCheckpoint(directory);
    expect(inspected).toMatchObject({
      binding,
      recovered: { doneFiles: 200, doneBytes: 200_000, notes: [] },
    });
  });

  it("knows the hashes of what is finished, of files done again the last, and gives them once", async () => {
    const first = await open();
    expect(first.takeHashes()).toHaveLength(0);
    await first.record(batch({ done: done(1, 2) }));
    await first.close();
    const again = done(1);
    again.fill(9, 24);
    const second = await open();
    await second.record(batch({ done: Buffer.concat([done(3), again]) }));
    await second.close();
    const third = await open();
    const hashes = third.takeHashes();
    const of = (number: number) => {
      const at = Array.from({ length: 3 }, (_, n) => n).find((n) => {
        return Buffer.compare(third.recovered.done.subarray(n * 16, n * 16 + 16), key(number)) === 0;
      });
      return [...new Set(hashes.subarray((at ?? -1) * 32, (at ?? -1) * 32 + 32))];
    };
    expect([hashes.length, of(1), of(2), of(3)]).toEqual([96, [9], [2], [3]]);
    expect(third.takeHashes()).toHaveLength(0);
    await third.close();
  });

  it("inspected is not changed", async () => {
    expect(await inspectCheckpoint(directory)).toBeUndefined();
    const checkpoint: Checkpoint = await open();
    await checkpoint.record(batch({ done: done(1) }));
    const journal = () => readFile(join(directory, "journal-1"));
    const before = [await names(), await journal()];
    expect((await inspectCheckpoint(directory))?.recovered.doneFiles).toBe(1);
    expect([await names(), await journal()]).toEqual(before);
    await checkpoint.close();
  });
});
