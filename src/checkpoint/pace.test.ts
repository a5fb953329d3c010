import { describe, expect, it } from "vitest";
import { Pace } from "./pace.ts";

describe("a pace", () => {
  it("lets a burst pass at once, then one an interval, and a burst again after a rest", async () => {
    let now = 1_000;
    const pace = new Pace({ intervalMs: 20, burst: 3, now: () => now });
    const waited = async () => {
      const began = performance.now();
      await pace.turn();
      // Timers may come a millisecond early.
      return performance.now() - began >= 15;
    };
    expect([await waited(), await waited(), await waited()]).toEqual([false, false, false]);
    expect(await waited()).toBe(true);
    now += 1_000;
    expect([await waited(), await waited(), await waited()]).toEqual([false, false, false]);
  });

  it("holds nothing back once it is to hurry", async () => {
    const pace = new Pace({ intervalMs: 60_000, burst: 1, now: () => 0 });
    await pace.turn();
    const held = pace.turn();
    pace.hurry();
    await held;
    await pace.turn();
  });
});
