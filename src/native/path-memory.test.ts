import { describe, expect, it } from "vitest";
import { memoryOf, pathKey } from "./path-memory.ts";
import { laneSample } from "./testing/lane-sample.ts";
import type { LaneSample } from "./types.ts";

const lane = (change: Partial<LaneSample>) => laneSample({ minRttNs: 100e6, packetsSent: 1000, ...change });

describe("what lanes learn of a path", () => {
  it("is what they carried together, when they filled it", () => {
    const lanes = [
      lane({ pathRate: 60e6, packetsLost: 11, packetsSpuriouslyLost: 1 }),
      lane({ pathRate: 50e6, minRttNs: 99e6 }),
      lane({ packetsLost: 500 }),
    ];
    expect(memoryOf(lanes)).toEqual({ minRttNs: 99e6, rateBytesPerSecond: 110e6, lossRate: 0.005 });
  });

  it("is nothing of a path that was never full, or is short", () => {
    expect(memoryOf([])).toBeUndefined();
    expect(memoryOf([lane({})])).toBeUndefined();
    expect(memoryOf([lane({ pathRate: 1e9, minRttNs: 200e3 })])).toBeUndefined();
  });
});

describe("the name of a path", () => {
  it("is of networks, not of hosts", () => {
    const key = (remote: string, local: string) => pathKey("box", { remote, local });
    expect(key("203.0.113.9", "::ffff:192.0.2.4")).toBe("box 192.0.2.0/24 203.0.113.0/24");
    expect(key("2001:db8:1:2::7", "fe80::1%eth0")).toBe("box fe80:0:0::/48 2001:db8:1::/48");
    expect(key("2001:db8:1:2:3:4:5:6", "")).toBe("box  2001:db8:1::/48");
    expect(key("203.0.113.9", "198.51.100.1")).not.toBe(key("203.0.113.9", "192.0.2.1"));
  });
});
