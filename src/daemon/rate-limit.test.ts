import { describe, expect, it } from "vitest";
import { callerNetwork, rateLimit } from "./rate-limit.ts";

const exhausted = expect.objectContaining({ code: "resource_exhausted", retryable: true });

describe("a rate limit", () => {
  it("lets a burst through, then what time brings, for each key", () => {
    let now = 0;
    const limit = rateLimit({ burst: 3, perSecond: 0.5, maxKeys: 10, now: () => now });
    for (let at = 0; at < 3; at += 1) limit("a");
    expect(() => limit("a")).toThrow(exhausted);
    limit("b");
    now = 2_000;
    limit("a");
    expect(() => limit("a")).toThrow(exhausted);
    now = 1_000_000;
    for (let at = 0; at < 3; at += 1) limit("a");
    expect(() => limit("a")).toThrow(exhausted);
  });

  it("remembers no more keys than it was told to, the latest", () => {
    const limit = rateLimit({ burst: 1, perSecond: 0.001, maxKeys: 2, now: () => 0 });
    for (const key of ["a", "b", "c"]) limit(key);
    expect(() => limit("c")).toThrow(exhausted);
    limit("a");
  });
});

describe("one caller", () => {
  it.each([
    ["10.0.0.1", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::9", "2001:db8:1:2"],
    ["2001:db8::9", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
  ])("at %s is %s", (address, network) => {
    expect(callerNetwork(address)).toBe(network);
  });
});
