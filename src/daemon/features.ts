import { release } from "node:os";

/** Linux versions that brought what the engine uses where it is there: major * 1000 + minor. */
const SINCE: Readonly<Record<string, number>> = {
  // UDP_SEGMENT: one call sends a train of datagrams.
  gso: 4_018,
  // UDP_GRO: one call receives a train.
  gro: 5_000,
  // RESOLVE_BENEATH.
  openat2: 5_006,
};

/** What this host's kernel offers to the engine. */
export function features(kernel = release()): readonly string[] {
  const [major = 0, minor = 0] = kernel.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const version = major * 1000 + minor;
  return Object.entries(SINCE).flatMap(([name, since]) => (version >= since ? [name] : []));
}
