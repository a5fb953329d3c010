import { describe, expect, it } from "vitest";
import { PbError } from "../model/error.ts";
import { Tuner } from "./tuning.ts";

const MIB = 1024 * 1024;

/**
 * Calls of 1 MiB for so many seconds of a clock of its own. Each takes `latencyMs` at the endpoint, whose line carries `mibPerSecond` and is
 * shared by those under way.
 */
async function drive(
  tuner: Tuner,
  clock: { ms: number },
  { latencyMs, mibPerSecond, seconds }: { latencyMs: number; mibPerSecond: number; seconds: number },
): Promise<number> {
  const until = clock.ms + seconds * 1_000;
  let moved = 0;
  let lineFreeMs = clock.ms;
  const ends: { atMs: number; end: () => void }[] = [];
  const call = () =>
    tuner.run(MIB, async () => {
      lineFreeMs = Math.max(lineFreeMs, clock.ms) + 1_000 / mibPerSecond;
      const atMs = Math.max(clock.ms + latencyMs, lineFreeMs);
      await new Promise<void>((end) => ends.push({ atMs, end }));
      moved += 1;
    });
  const asked = new Set<Promise<void>>();
  const refill = () => {
    while (asked.size < 200) {
      const one = call().finally(() => asked.delete(one));
      asked.add(one);
    }
  };
  refill();
  while (clock.ms < until || asked.size > 0) {
    for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
    ends.sort((a, b) => a.atMs - b.atMs);
    const next = ends.shift();
    if (next === undefined) continue;
    clock.ms = Math.max(clock.ms, next.atMs);
    next.end();
    for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
    if (clock.ms < until) refill();
  }
  return moved / seconds;
}

describe("the number of calls at once", () => {
  it("climbs while throughput does, and fills a long path", async () => {
    const clock = { ms: 0 };
    const tuner = new Tuner({ max: 64, now: () => clock.ms });
    expect(tuner.limit).toBe(8);
    await drive(tuner, clock, { latencyMs: 100, mibPerSecond: 200, seconds: 10 });
    const rate = await drive(tuner, clock, { latencyMs: 100, mibPerSecond: 200, seconds: 5 });
    expect(rate).toBeGreaterThan(170);
    expect(tuner.limit).toBeLessThan(64);
  });

  it("climbs for calls that all came at once, too", async () => {
    const clock = { ms: 0 };
    const tuner = new Tuner({ max: 64, now: () => clock.ms });
    const ends: (() => void)[] = [];
    const calls = Array.from({ length: 1_000 }, () =>
      tuner.run(10_000, () => new Promise<void>((end) => ends.push(end))),
    );
    // Each takes a round trip of 50 ms, however many there are.
    while (ends.length > 0) {
      clock.ms += 50;
      for (const end of ends.splice(0)) end();
      for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
    }
    await Promise.all(calls);
    expect(tuner.limit).toBe(64);
  });

  it("climbs no further where as many as it begins with fill the line", async () => {
    const clock = { ms: 0 };
    const tuner = new Tuner({ max: 64, now: () => clock.ms });
    await drive(tuner, clock, { latencyMs: 10, mibPerSecond: 50, seconds: 20 });
    expect(tuner.limit).toBeLessThanOrEqual(10);
  });

  it("is halved by throttling, once for all that runs, and climbs again later", async () => {
    const clock = { ms: 0 };
    const tuner = new Tuner({ max: 32, now: () => clock.ms });
    await drive(tuner, clock, { latencyMs: 100, mibPerSecond: 1_000, seconds: 10 });
    const before = tuner.limit;
    expect(before).toBeGreaterThan(8);
    const slow = new PbError("resource_exhausted", "503 Slow Down", { retryAfterMs: 100 });
    for (let n = 0; n < 5; n += 1) tuner.failed(slow);
    expect(tuner.limit).toBe(Math.floor(before / 2));
    tuner.failed(new PbError("not_found", "says nothing of the load"));
    expect(tuner.limit).toBe(Math.floor(before / 2));
    await drive(tuner, clock, { latencyMs: 100, mibPerSecond: 1_000, seconds: 30 });
    expect(tuner.limit).toBeGreaterThanOrEqual(before);
  });

  it("is the user's where that was given", async () => {
    const clock = { ms: 0 };
    const tuner = new Tuner({ max: 32, fixed: 5, now: () => clock.ms });
    await drive(tuner, clock, { latencyMs: 100, mibPerSecond: 1_000, seconds: 5 });
    tuner.failed(new PbError("timeout", "slow"));
    expect(tuner.limit).toBe(5);
  });

  it("a call that fails gives its place to the next", async () => {
    const tuner = new Tuner({ max: 1 });
    const fails = Promise.allSettled(
      [1, 2, 3].map((n) => tuner.run(0, () => Promise.reject(new Error(`${n}`)))),
    );
    expect((await fails).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(await tuner.run(0, async () => "next")).toBe("next");
  });
});
