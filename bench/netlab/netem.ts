/** A link by the kernel's own netem (tc-netem(8)), where the kernel has it and it can do what is asked. */
import { spawnSync } from "node:child_process";
import type { DirectionSpec, LinkSpec } from "./topology.ts";

/** Is the link no more than a wire? Then it needs nothing between its ends. */
export function isPlain({ forward, back }: LinkSpec): boolean {
  return [forward, back].every(
    (way) =>
      way.rateBitsPerSec === 0 &&
      way.delayMs === 0 &&
      way.dropAboveMtu === undefined &&
      [way.lossPercent, way.reorderPercent, way.duplicatePercent, way.corruptPercent].every(
        (share) => share === 0,
      ),
  );
}

/** Can netem do the same? Its jitter reorders, its reordering is of another kind, and it flips bits only. */
export function netemCan({ forward, back }: LinkSpec): boolean {
  return [forward, back].every(
    (way) =>
      (way.jitterMs === 0 || way.jitterReorders) &&
      way.reorderPercent === 0 &&
      !way.corruptSilently &&
      way.dropAboveMtu === undefined,
  );
}

/** Does this kernel have netem? Asked in a namespace that the caller may change. */
export function hasNetem(namespace: string): boolean {
  const qdisc = (verb: string) =>
    spawnSync("tc", ["-n", namespace, "qdisc", verb, "dev", "lo", "root", "netem", "delay", "1ms"]);
  if (qdisc("add").status !== 0) return false;
  qdisc("del");
  return true;
}

/** The words after `tc qdisc add dev DEVICE root`. netem's limit counts packets, those on their way included. */
export function netemArgs(way: DirectionSpec, options: { readonly mtu: number; readonly seed: number }) {
  const flyingBytes = (way.rateBitsPerSec / 8) * ((way.delayMs + way.jitterMs) / 1000);
  // Without a rate there is no queue: only as many as the largest of networks could have on their way.
  const limit =
    way.rateBitsPerSec === 0 ? 1_000_000 : Math.ceil((way.queueBytes + flyingBytes) / options.mtu);
  const words = ["netem", "limit", String(Math.max(limit, 1))];
  if (way.delayMs > 0) words.push("delay", `${way.delayMs}ms`);
  if (way.jitterMs > 0) words.push(`${way.jitterMs}ms`);
  words.push(...lossWords(way));
  if (way.corruptPercent > 0) words.push("corrupt", `${way.corruptPercent}%`);
  if (way.duplicatePercent > 0) words.push("duplicate", `${way.duplicatePercent}%`);
  if (way.rateBitsPerSec > 0) words.push("rate", `${way.rateBitsPerSec}bit`);
  return [...words, "seed", String(options.seed)];
}

/** Gilbert's model: the chances to enter and to leave the bad state, as in native/pb-netlab/src/loss.rs. */
function lossWords({ lossPercent, meanBurstPackets }: DirectionSpec): readonly string[] {
  if (lossPercent === 0) return [];
  if (meanBurstPackets === undefined) return ["loss", "random", `${lossPercent}%`];
  const leave = 1 / meanBurstPackets;
  const enter = Math.min(1, (lossPercent / 100) * (leave / (1 - lossPercent / 100)));
  return ["loss", "gemodel", `${enter * 100}%`, `${leave * 100}%`, "100%", "0%"];
}
