import { describe, expect, it } from "vitest";
import { PbError } from "../model/error.ts";
import type { JobResult } from "../native/types.ts";
import { ErrorLog } from "./error-log.ts";
import { EventQueue } from "./event-queue.ts";
import { finalState, tellUnsaid } from "./receipt.ts";
import { Reporter } from "./report.ts";
import { NO_COUNTS, Tally } from "./tally.ts";

async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const read: T[] = [];
  for await (const event of events) read.push(event);
  return read;
}

describe("EventQueue", () => {
  it("keeps order, and of superseded neighbours the newest", async () => {
    const queue = new EventQueue<number>((newer, waiting) => newer < 10 && waiting < 10);
    for (const event of [1, 2, 10, 3, 4, 11]) queue.push(event);
    queue.end();
    queue.push(12);
    expect(await all(queue)).toEqual([2, 10, 4, 11]);
  });

  it("wakes a reader that waits, and throws what it ended with after what waits", async () => {
    const queue = new EventQueue<number>(() => false);
    const reading = all(queue);
    await Promise.resolve();
    queue.push(1);
    queue.end({ error: new PbError("no_space", "full") });
    await expect(reading).rejects.toMatchObject({ code: "no_space" });
  });
});

describe("ErrorLog", () => {
  it("takes an error once and counts beyond what it lists", () => {
    const log = new ErrorLog();
    expect(log.add(new PbError("io_error", "x", { path: "a" }))).toBe(true);
    expect(log.add(new PbError("io_error", "said otherwise", { path: "a" }))).toBe(false);
    expect(log.add(new PbError("io_error", "x", { path: "b" }))).toBe(true);
    expect(log.add(new PbError("timeout", "x"))).toBe(true);
    for (let n = 0; n < 1_500; n += 1) log.add(new PbError("io_error", "x", { path: `f${n}` }));
    expect([log.count, log.listed.length, log.notListed]).toEqual([1_503, 1_000, 503]);
  });
});

describe("ErrorLog of what ended a job", () => {
  it("lists it for its file only", () => {
    const log = new ErrorLog();
    expect(log.add(new PbError("no_space", "box: full", { path: "/home/me/d/f" }))).toBe(true);
    expect(log.add(new PbError("no_space", "full"))).toBe(false);
    expect(log.add(new PbError("no_space", "full", { path: "d/f", peer: "box" }))).toBe(false);
    expect(log.add(new PbError("no_space", "the disk of the jobs is full, too"))).toBe(true);
    expect(log.add(new PbError("no_space", "full", { path: "d/g" }))).toBe(true);
    expect(log.count).toBe(3);
  });
});

describe("Tally", () => {
  it("sums jobs, each by its newest counters, settled ones too", () => {
    const tally = new Tally();
    tally.update(1, { ...NO_COUNTS, bytes: 5 });
    tally.update(1, { ...NO_COUNTS, bytes: 7, files: 1 });
    tally.settle(1);
    tally.update(2, { ...NO_COUNTS, bytes: 3 });
    expect(tally.counts).toEqual({ ...NO_COUNTS, bytes: 10, files: 1 });
  });
});

describe("Tally of several attempts", () => {
  const first = { ...NO_COUNTS, bytes: 100, files: 10, chunksRefetched: 1 };

  it("of a copy: the last tells of the whole", () => {
    const tally = new Tally();
    tally.update(1, first);
    tally.nextAttempt();
    tally.update(1, {
      ...NO_COUNTS,
      bytes: 150,
      files: 15,
      resumedFiles: 10,
      resumedBytes: 100,
      redoneFiles: 1,
    });
    expect(tally.total).toMatchObject({ bytes: 150, files: 15, chunksRefetched: 1, redoneFiles: 1 });
  });

  it("of a move: what was moved is not found again", () => {
    const tally = new Tally(true);
    tally.update(1, { ...first, removedSources: 8 });
    tally.nextAttempt();
    tally.update(1, {
      ...NO_COUNTS,
      bytes: 70,
      files: 7,
      resumedFiles: 2,
      resumedBytes: 20,
      removedSources: 7,
    });
    expect(tally.total).toMatchObject({ bytes: 150, files: 15, removedSources: 15 });
  });
});

describe("Reporter", () => {
  const progress = { ...NO_COUNTS, redone: [], errors: [] };

  it("says progress at most ten times a second, errors and notices once each, in order", async () => {
    let nowMs = 0;
    const reporter = new Reporter({ limitBytesPerSecond: 0, now: () => nowMs });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const { event } of reporter.events) seen.push(event.case);
    })();
    for (; nowMs < 1_000; nowMs += 10) {
      reporter.job(1, { ...progress, bytes: nowMs });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(seen.filter((name) => name === "progress").length).toBeLessThanOrEqual(10);
    reporter.error(new PbError("no_space", "full", { path: "f" }));
    reporter.error(new PbError("no_space", "full", { path: "f" }));
    reporter.notice("skipped-kind", "one");
    reporter.notice("skipped-kind", "two");
    reporter.stop();
    reporter.events.end();
    await reading;
    expect(seen.slice(-2)).toEqual(["error", "notice"]);
    expect(seen.length).toBeLessThanOrEqual(12);
  });

  it("names the peer in errors of the connection, and only there", () => {
    const reporter = new Reporter({ limitBytesPerSecond: 0, now: () => 0 });
    reporter.peer("box");
    reporter.error(new PbError("connection_lost", "gone"));
    reporter.error(new PbError("permission_denied", "no", { path: "f" }));
    reporter.stop();
    expect(reporter.errors.listed.map(({ code, peer }) => [code, peer])).toEqual([
      ["connection_lost", "box"],
      ["permission_denied", undefined],
    ]);
  });

  it("knows the whole from the listing or the jobs, whichever knows more", () => {
    const reporter = new Reporter({ limitBytesPerSecond: 0, now: () => 0 });
    reporter.job(1, { ...progress, totalBytes: 10, totalFiles: 1 });
    reporter.found({ files: 3, bytes: 7, done: false });
    reporter.stop();
    expect(reporter.counts).toMatchObject({ totalBytes: 10, totalFiles: 3 });
  });
});

describe("a job that is partial", () => {
  const ended = (allErrors: readonly PbError[], failedFiles = allErrors.length): JobResult => {
    const counts = { ...NO_COUNTS, files: 1, failedFiles };
    return { ...counts, state: "partial", redone: [], errors: [], allErrors, hashes: [] };
  };
  const told = (result: JobResult, state: JobResult["state"] = result.state) => {
    const reporter = new Reporter({ limitBytesPerSecond: 0, now: () => 0 });
    reporter.jobEnded(1, result);
    tellUnsaid(state, reporter);
    reporter.stop();
    return reporter.errors.listed.map(({ code, path, message }) => [code, path, message]);
  };

  it("says which files failed, and why, whatever the reason looks like", () => {
    const errors = [
      new PbError("aborted", "the file was given up", { path: "f" }),
      new PbError("timeout", "no answer to the last call"),
    ];
    expect(told(ended(errors))).toEqual([
      ["aborted", "f", "the file was given up"],
      ["timeout", undefined, "no answer to the last call"],
    ]);
    // Else both are for who aborted it, and for the next attempt.
    expect(told({ ...ended(errors), state: "failed" })).toEqual([]);
  });

  it("says that nobody can say it, where that is so", () => {
    const unsaid = (what: string) => [
      ["internal", undefined, `${what} failed, and nothing says which or why`],
    ];
    expect(told(ended([], 2))).toEqual(unsaid("2 entries"));
    expect(told(ended([]))).toEqual(unsaid("some entries"));
    expect(told(ended([], 1), "done")).toEqual(unsaid("one entry"));
    expect(told(ended([]), "done")).toEqual([]);
  });
});

describe("finalState", () => {
  it.each([
    ["done", { files: 1 }, 0, "done"],
    ["done", {}, 0, "done"],
    ["done", { files: 1 }, 1, "partial"],
    ["partial", { skippedFiles: 1, failedFiles: 1 }, 0, "partial"],
    ["partial", { failedFiles: 1 }, 1, "failed"],
    ["failed", { files: 5 }, 1, "failed"],
    ["aborted", { files: 5 }, 1, "aborted"],
  ] as const)("%s with %o and %i errors is %s", (state, counts, errors, final) => {
    expect(finalState(state, { counts: { ...NO_COUNTS, ...counts }, errors })).toBe(final);
  });
});
