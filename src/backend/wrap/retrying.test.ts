import { describe, expect, it } from "vitest";
import { PbError } from "../../model/error.ts";
import type { ChunkAccess } from "../chunks.ts";
import { retried, retryingChunks } from "./retrying.ts";

const never = new AbortController().signal;

function failing(times: number, error: PbError) {
  let calls = 0;
  const run = async () => {
    calls += 1;
    if (calls <= times) throw error;
    return "done";
  };
  return { run, calls: () => calls };
}

const lost = new PbError("connection_lost", "reset");

describe("a call is repeated", () => {
  it("with growing waits, of which a random part is waited", async () => {
    const { run } = failing(4, lost);
    const waits: number[] = [];
    const onRetry = (_: PbError, delayMs: number) => waits.push(delayMs);
    await retried(run, { signal: never, baseMs: 4, maxMs: 12, onRetry, random: () => 0.5 });
    expect(waits).toEqual([2, 4, 6, 6]);
  });

  it("after what the endpoint asked for", async () => {
    const { run } = failing(1, new PbError("resource_exhausted", "429", { retryAfterMs: 30 }));
    const begun = performance.now();
    expect(await retried(run, { signal: never, baseMs: 1 })).toBe("done");
    expect(performance.now() - begun).toBeGreaterThanOrEqual(29);
  });

  it("not for ever, nor where it can't help, nor where an hour is asked for", async () => {
    const endless = failing(99, lost);
    await expect(retried(endless.run, { signal: never, attempts: 2, baseMs: 1 })).rejects.toBe(lost);
    expect(endless.calls()).toBe(3);
    for (const error of [
      new PbError("permission_denied", "403"),
      new PbError("resource_exhausted", "503", { retryAfterMs: 3_600_000 }),
    ]) {
      const { run, calls } = failing(1, error);
      await expect(retried(run, { signal: never })).rejects.toBe(error);
      expect(calls()).toBe(1);
    }
  });

  it("not after an abort, which ends a wait too", async () => {
    const stop = new AbortController();
    const { run } = failing(9, new PbError("resource_exhausted", "503", { retryAfterMs: 60_000 }));
    const onRetry = () => setTimeout(() => stop.abort(), 5);
    await expect(retried(run, { signal: stop.signal, onRetry })).rejects.toMatchObject({ code: "aborted" });
  });
});

it("an endpoint that fails again and again by itself is asked once for each further call, until one succeeds", async () => {
  let [calls, works] = [0, false];
  let error = new PbError("io_error", "500", { retryable: true });
  const access = {
    maxCalls: 1,
    async writeWhole() {
      calls += 1;
      if (!works) throw error;
      return { how: "size" };
    },
  } as unknown as ChunkAccess;
  const { writeWhole } = retryingChunks(access, { attempts: 2, baseMs: 1 });
  const options = { signal: never } as Parameters<typeof writeWhole>[2];
  const asked = async () => {
    calls = 0;
    await writeWhole("f", new Uint8Array(), options).catch(() => undefined);
    return calls;
  };
  for (let each = 0; each < 16; each += 1) expect(await asked()).toBe(3);
  expect([await asked(), await asked()]).toEqual([1, 1]);
  works = true;
  expect(await asked()).toBe(1);
  works = false;
  expect(await asked()).toBe(3);
  // One that is away may come back.
  error = lost;
  for (let each = 0; each < 20; each += 1) expect(await asked()).toBe(3);
});
