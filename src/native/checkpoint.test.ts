import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CheckpointBatch, PartRecord } from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import { type FileRoot, openRoot } from "./root.ts";
import { engine } from "./session.ts";
import type { JobResult, ReceiveCheckpoint, ReceiveJob } from "./types.ts";

const SIZE = 3_000_000;
let scratch: string;
let source: FileRoot;
let target: FileRoot;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "pb-checkpoint-"));
  await mkdir(join(scratch, "a"));
  await mkdir(join(scratch, "b"));
  source = await openRoot({ directory: join(scratch, "a"), resolve: "beneath", writable: true });
  target = await openRoot({ directory: join(scratch, "b"), resolve: "beneath", writable: true });
  await writeFile(join(scratch, "a/large"), randomBytes(SIZE));
  await writeFile(join(scratch, "a/small"), "small");
});

afterEach(async () => {
  source.close();
  target.close();
  await rm(scratch, { recursive: true, force: true });
});

const NONE = new Uint8Array();
const NOTHING = { parts: [], done: NONE, hashes: NONE, flushBytes: 65_536, flushMs: 20, nameTag: 7 };

interface Run {
  readonly known?: Pick<ReceiveCheckpoint, "parts" | "done" | "hashes">;
  /** Hears of each batch instead of its being confirmed. */
  readonly heard?: (batch: CheckpointBatch, job: ReceiveJob) => void;
  readonly limitBytesPerSecond?: number;
}

async function run({ known = NOTHING, heard, limitBytesPerSecond = 0 }: Run) {
  const [near, far] = engine.pair({ memoryBytes: 16 << 20, limitBytesPerSecond });
  const batches: CheckpointBatch[] = [];
  const common = { job: 1, onProgress: () => {} };
  const onBatch = (batch: CheckpointBatch) => {
    batches.push(batch);
    if (heard) heard(batch, receiving);
    else receiving.confirm(batch.number);
  };
  const how = {
    base: "",
    exactName: false,
    overwrite: "always",
    fsync: true,
    perms: true,
    owner: false,
  } as const;
  const checkpoint = { ...NOTHING, ...known, onBatch };
  const receiving: ReceiveJob = far.receive({ ...common, ...how, root: target, checkpoint });
  const numbers = { chunkBytes: 65_536, parallelFiles: 0 };
  const sending = near.send({ ...common, ...numbers, roots: [source], follow: false, removeSources: false });
  for await (const { entries } of source.walk("", { follow: false, maxDepth: 0 })) {
    await sending.push(entries.map((e) => ({ ...e, root: 0, source: e.path, target: e.path })));
  }
  sending.finish();
  const results: JobResult[] = await Promise.all([sending.done, receiving.done]);
  await Promise.all([near.close(), far.close()]);
  return { batches, results };
}

const parts = (batches: readonly CheckpointBatch[]) => batches.flatMap((batch) => batch.parts);

/** The newest record of each part with all its chunks. */
function merged(batches: readonly CheckpointBatch[]): PartRecord[] {
  const all = parts(batches);
  const last = all.at(-1);
  return last === undefined ? [] : [{ ...last, chunks: Buffer.concat(all.map((part) => part.chunks)) }];
}

test("finished files are recorded, and the next run sends nothing", async () => {
  const { batches, results } = await run({});
  expect(results.map((r) => [r.state, r.resumedFiles])).toEqual([
    ["done", 0],
    ["done", 0],
  ]);
  const done = Buffer.concat(batches.map((batch) => batch.done));
  expect(done.length).toBe(2 * 56);
  const sizes = [done.readBigUInt64BE(16), done.readBigUInt64BE(56 + 16)];
  expect(sizes.sort()).toEqual([BigInt(SIZE), 5n]);
  const keys = Buffer.concat([done.subarray(0, 16), done.subarray(56, 72)]);
  const hashes = Buffer.concat([done.subarray(24, 56), done.subarray(80)]);
  const again = await run({ known: { parts: [], done: keys, hashes } });
  expect(again.batches).toEqual([]);
  for (const result of again.results) {
    expect(result).toMatchObject({
      state: "done",
      files: 2,
      resumedFiles: 2,
      resumedBytes: SIZE + 5,
      redoneFiles: 0,
      redone: [],
    });
    // Nothing was sent, and yet both know what it is.
    expect(result.hashes.map(({ blake3 }) => Buffer.from(blake3).toString("hex")).sort()).toEqual(
      [hashes.subarray(0, 32), hashes.subarray(32)].map((hash) => hash.toString("hex")).sort(),
    );
  }
});

test("a pause leaves a part, and the next run goes on with it", async () => {
  const slow = { limitBytesPerSecond: 2_000_000 };
  const paused = await run({
    ...slow,
    heard: (batch, job) => {
      job.confirm(batch.number);
      if (batch.parts.length > 0) job.abort("paused", { keep: true });
    },
  });
  expect(paused.results[1]?.state).toBe("aborted");
  const [part] = merged(paused.batches);
  expect(part).toMatchObject({ target: "large", size: SIZE, chunkBytes: 65_536 });
  expect(await readdir(join(scratch, "b"))).toContain(Buffer.from(part?.temporary ?? []).toString());
  expect(Buffer.from(part?.temporary ?? []).toString()).toMatch(/^\.pb-7-[0-9a-f]+\.part$/);
  const { results, batches } = await run({
    known: { parts: merged(paused.batches), done: new Uint8Array(), hashes: new Uint8Array() },
  });
  expect(results[1]).toMatchObject({ state: "done", resumedFiles: 1, redoneFiles: 0 });
  expect(results[1]?.resumedBytes).toBeGreaterThan(0);
  expect(Buffer.concat(batches.map((batch) => batch.gone))).toEqual(Buffer.from(part?.key ?? []));
  const [sent, got] = await Promise.all(["a", "b"].map((end) => readFile(join(scratch, end, "large"))));
  expect(sent?.equals(got ?? Buffer.alloc(0))).toBe(true);
});

test("what its checkpoint can't keep fails a job for that, at both ends, and a part that was kept stays", async () => {
  const full = new PbError("no_space", "no space left on the device");
  let kept = false;
  const failed = await run({
    limitBytesPerSecond: 2_000_000,
    heard: (batch, job) => {
      if (!kept) {
        kept = batch.parts.length > 0;
        return job.confirm(batch.number);
      }
      job.failFor(full);
      // As when the call to the sender ends, which has heard of it.
      job.abort("the other side has ended the call", { keep: true });
    },
  });
  const [sender, receiver] = failed.results;
  expect(receiver).toMatchObject({ state: "failed", allErrors: [] });
  expect(sender?.state).toBe("failed");
  expect(sender?.allErrors.map(({ code }) => code)).toEqual(["no_space"]);
  expect(await readdir(join(scratch, "b"))).toContainEqual(expect.stringMatching(/^\.pb-7-.+\.part$/));
});

test("parts are removed for a job that is forgotten, and by an abort that keeps nothing", async () => {
  const stop = (keep: boolean) =>
    run({
      limitBytesPerSecond: 2_000_000,
      heard: (batch, job) => {
        job.confirm(batch.number);
        if (batch.parts.length > 0) job.abort("stopped", { keep });
      },
    });
  await stop(false);
  expect(await readdir(join(scratch, "b"))).not.toContainEqual(expect.stringMatching(/\.part$/));
  const { batches } = await stop(true);
  const removal = { root: target, base: "", exactName: false, parts: merged(batches) };
  expect(await engine.removeParts(removal)).toBe(1);
  expect(await engine.removeParts(removal)).toBe(0);
  expect(await readdir(join(scratch, "b"))).not.toContainEqual(expect.stringMatching(/\.part$/));
});

test("records that are none are refused", async () => {
  await expect(
    run({ known: { parts: [], done: new Uint8Array(15), hashes: new Uint8Array() } }),
  ).rejects.toMatchObject({
    code: "invalid_argument",
  });
});
