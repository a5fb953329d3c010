import { describe, expect, it, vi } from "vitest";
import type { JobEvent } from "../gen/packetboat/v1/session_pb.ts";
import { PbError } from "../model/error.ts";
import type { JobResult } from "../native/types.ts";
import { concludeFar, type FarCall, watchFar } from "./far.ts";
import { refuseLost, settled } from "./halves.ts";

const LOST = new PbError("connection_lost", "the connection is gone");
const FULL = new PbError("no_space", "write x: no space is left", { path: "x" });
const DENIED = new PbError("permission_denied", "write y: permission denied", { path: "y" });

function ended(state: JobResult["state"], ...allErrors: PbError[]): JobResult {
  const errors = { errors: allErrors, allErrors, redone: [], hashes: [] };
  return { ...ZERO, ...errors, state };
}

const ZERO = {
  bytes: 0,
  totalBytes: 0,
  files: 0,
  totalFiles: 0,
  directories: 0,
  symlinks: 0,
  skippedFiles: 0,
  skippedBytes: 0,
  failedFiles: 0,
  chunksRefetched: 0,
  removedSources: 0,
  resumedFiles: 0,
  resumedBytes: 0,
  redoneFiles: 0,
};

/** A call that the other side ends with this. */
function farThat(failure: PbError): FarCall {
  const events = async function* (): AsyncGenerator<JobEvent> {
    yield* [];
    throw failure;
  };
  const reporter = { error: vi.fn(), notice: vi.fn(), found: vi.fn() };
  return watchFar(events(), { reporter, peer: "box", signal: new AbortController().signal });
}

function conclude(failure: PbError, near: JobResult) {
  return concludeFar(farThat(failure), { peer: "box", near, needed: true });
}

describe("the far half has ended its call and the near one has failed", () => {
  const gone = new PbError("aborted", "the job was aborted");

  it.each([
    ["ended", gone],
    ["lost", LOST],
  ])("the near one's own cause counts, not that the call was %s", async (_, failure) => {
    expect(await conclude(failure, ended("failed", FULL))).toBeUndefined();
    expect(await conclude(failure, ended("failed", DENIED, FULL))).toBeUndefined();
    // An abort by the far side, and a job that lost its peer, have no cause here.
    await expect(conclude(failure, ended("aborted", gone))).rejects.toMatchObject({
      code: "connection_lost",
    });
    await expect(conclude(failure, ended("failed", DENIED, LOST))).rejects.toMatchObject({
      code: "connection_lost",
    });
    await expect(conclude(failure, ended("failed"))).rejects.toMatchObject({ code: "connection_lost" });
  });

  it("what the far one knows better counts", async () => {
    const revoked = new PbError("revoked", "access was taken");
    await expect(conclude(revoked, ended("failed", FULL))).rejects.toMatchObject({ code: "revoked" });
    await expect(conclude(FULL, ended("failed", LOST))).rejects.toMatchObject({ code: "no_space" });
  });
});

it("a full disk at the receiver is none of a lost connection, also where that comes before the receiver's last word", () => {
  const told = ended("failed", FULL, LOST);
  expect(refuseLost(told)).toBe(told);
  expect(() => refuseLost(ended("failed", DENIED, LOST))).toThrow(LOST);
});

it("a job that failed by itself is not ended by whoever then aborts it", async () => {
  const result = ended("failed", FULL);
  const job = { done: Promise.resolve(result), abort: vi.fn() };
  expect(await settled(job, AbortSignal.abort(LOST))).toBe(result);
  const aborted = { done: Promise.resolve(ended("aborted")), abort: vi.fn() };
  await expect(settled(aborted, AbortSignal.abort(LOST))).rejects.toBe(LOST);
});
