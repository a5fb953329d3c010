import { PbError } from "../model/error.ts";

export interface RateLimitOptions {
  /** Tries that may come at once. */
  readonly burst: number;
  readonly perSecond: number;
  /** Keys remembered at once; beyond it the oldest are forgotten. */
  readonly maxKeys: number;
  readonly now?: () => number;
}

/** A token bucket for each key. @returns what throws `resource_exhausted` when a key's bucket is empty */
export function rateLimit({ burst, perSecond, maxKeys, now = () => performance.now() }: RateLimitOptions) {
  const buckets = new Map<string, { level: number; at: number }>();
  return (key: string): void => {
    const time = now();
    const bucket = buckets.get(key) ?? { level: burst, at: time };
    const level = Math.min(burst, bucket.level + ((time - bucket.at) / 1000) * perSecond);
    buckets.delete(key);
    buckets.set(key, { level: Math.max(0, level - 1), at: time });
    if (buckets.size > maxKeys) buckets.delete(buckets.keys().next().value ?? "");
    if (level >= 1) return;
    const waitSeconds = Math.ceil((1 - level) / perSecond);
    throw new PbError("resource_exhausted", `too many tries; wait ${waitSeconds} s`);
  };
}

/** What counts as one caller: an IPv4 address, or the /64 that one IPv6 host may take any address of. */
export function callerNetwork(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped) return mapped;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  return [...groups, ...Array.from({ length: missing }, () => "0")].slice(0, 4).join(":");
}
