/** What is remembered of a path between sessions: docs/design/0006-start-up.md. */

import type { LaneSample, PathMemory } from "./types.ts";

/** Where sessions leave what they learned, and find what others did. Forgetting is its business; nothing of it ever fails a session. */
export interface PathHistory {
  recall(path: string): Promise<PathMemory | undefined>;
  learn(path: string, lanes: readonly LaneSample[]): Promise<void>;
}

/** Below this round trip a start from nothing costs less than a wrong memory; MIN_RTT of native/pb-proto/src/cc/bbr/jump.rs. */
const MIN_RTT_NS = 4_000_000;

/** What lanes of one sender learned together; undefined when they never filled the path. */
export function memoryOf(lanes: readonly LaneSample[]): PathMemory | undefined {
  const full = lanes.filter(({ pathRate, minRttNs }) => pathRate > 0 && minRttNs > 0);
  const minRttNs = Math.min(...full.map((lane) => lane.minRttNs));
  if (full.length === 0 || minRttNs < MIN_RTT_NS) return undefined;
  const sum = (value: (lane: LaneSample) => number) => full.reduce((all, lane) => all + value(lane), 0);
  const lost = sum((lane) => Math.max(0, lane.packetsLost - lane.packetsSpuriouslyLost));
  return {
    minRttNs,
    rateBytesPerSecond: sum((lane) => lane.pathRate),
    lossRate:
      lost /
      Math.max(
        1,
        sum((lane) => lane.packetsSent),
      ),
  };
}

/**
 * Names a path: whom it leads to, and the networks at both ends. Hosts of one network share their way, and a host gets another
 * address of it from one day to the next.
 */
export function pathKey(peer: string, ends: { readonly remote: string; readonly local: string }): string {
  return `${peer} ${networkOf(ends.local)} ${networkOf(ends.remote)}`;
}

/** /24 of IPv4, /48 of IPv6. */
function networkOf(address: string): string {
  const v4 = /(\d+\.\d+\.\d+)\.\d+$/.exec(address);
  if (v4) return `${v4[1]}.0/24`;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const filled = tail === undefined ? groups : [...groups, "0", "0", "0"];
  return `${filled.slice(0, 3).join(":")}::/48`;
}
