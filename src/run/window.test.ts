import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { laneSample as lane } from "../native/testing/lane-sample.ts";
import { summarizeLanes } from "./lanes.ts";
import { limitTimes, longest, Window } from "./window.ts";

describe("Window", () => {
  it("gives the rate of the last two seconds, not of the whole", () => {
    const window = new Window(0);
    for (let ms = 0; ms <= 10_000; ms += 100) window.add(ms, ms * 1_000, limitTimes([]));
    expect(window.bytesPerSecond()).toBe(1_000_000);
    for (let ms = 10_100; ms <= 13_000; ms += 100) window.add(ms, 10_000_000, limitTimes([]));
    expect(window.bytesPerSecond()).toBe(0);
  });

  it("is never negative and never above what was seen, however the points come", () => {
    const steps = fc.array(fc.record({ ms: fc.integer({ min: 0, max: 3_000 }), bytes: fc.nat() }));
    fc.assert(
      fc.property(steps, (given) => {
        const window = new Window(0);
        let [atMs, bytes, fastest] = [0, 0, 0];
        window.add(0, 0, limitTimes([]));
        for (const step of given) {
          atMs += step.ms;
          bytes += step.bytes;
          fastest = Math.max(
            fastest,
            step.ms === 0 ? Number.POSITIVE_INFINITY : (step.bytes / step.ms) * 1_000,
          );
          window.add(atMs, bytes, limitTimes([]));
          const rate = window.bytesPerSecond();
          expect(rate).toBeGreaterThanOrEqual(0);
          expect(rate).toBeLessThanOrEqual(fastest * 1.000_001);
        }
      }),
    );
  });

  it("names what held the lanes up in the window, whatever did before", () => {
    const window = new Window(0);
    window.add(0, 0, limitTimes([lane({})]));
    window.add(1_000, 1, limitTimes([lane({ congestionNs: 9e9 })]));
    expect(window.limitedBy()).toBe("congestion");
    window.add(4_000, 2, limitTimes([lane({ congestionNs: 9e9, receiverNs: 1e9 })]));
    window.add(6_500, 3, limitTimes([lane({ congestionNs: 9e9, receiverNs: 2e9, applicationNs: 5e8 })]));
    expect(window.limitedBy()).toBe("receiver");
  });

  it("says limit when the rate is at the limit that was set", () => {
    const at = new Window(1_000_000);
    at.add(0, 0, limitTimes([]));
    at.add(1_000, 950_000, limitTimes([lane({ pacingNs: 1e9 })]));
    expect(at.limitedBy()).toBe("limit");
    const below = new Window(1_000_000);
    below.add(0, 0, limitTimes([]));
    below.add(1_000, 300_000, limitTimes([lane({ pacingNs: 1e9 })]));
    expect(below.limitedBy()).toBe("pacing");
  });

  it("knows what the receiver's processors held up from its disk, and from the path", () => {
    const held = (cpuNs: number) => limitTimes([lane({ receiverNs: 6, congestionNs: 3 })], [lane({ cpuNs })]);
    expect(longest(held(0))).toBe("receiver");
    expect(held(4)).toMatchObject({ receiver: 2, congestion: 3, cpu: 4 });
    expect(longest(held(5))).toBe("cpu");
    expect(held(50)).toMatchObject({ receiver: 0, congestion: 0, cpu: 9 });
    expect(longest(limitTimes([lane({ cpuNs: 3, applicationNs: 2 })]))).toBe("cpu");
  });

  it("without lanes blames the application", () => {
    expect(longest(limitTimes([]))).toBe("application");
  });
});

describe("summarizeLanes", () => {
  it("weighs round trips by packets and counts only lost ones that were lost", () => {
    const lanes = [
      lane({ smoothedRttNs: 10, minRttNs: 5, packetsSent: 300, packetsLost: 8, packetsSpuriouslyLost: 4 }),
      lane({ smoothedRttNs: 30, minRttNs: 9, packetsSent: 100, bytesRetransmitted: 7 }),
      lane({}),
    ];
    expect(summarizeLanes(lanes)).toMatchObject({
      smoothedRttNs: 15,
      minRttNs: 5,
      lossRate: 0.01,
      bytesRetransmitted: 7,
    });
    expect(summarizeLanes([])).toMatchObject({ smoothedRttNs: 0, minRttNs: 0, lossRate: 0 });
  });
});
