import { expect, test } from "vitest";
import { outage } from "../crash/lib/outage.ts";
import { makeLink, whyNoNamespaces } from "./lib/network.ts";

const MIB = 1 << 20;

/** A minute of it: `npm run crash -- --outage 60`. */
test.skipIf(whyNoNamespaces() !== undefined)(
  "link down for longer than a session lives, another address, server killed: goes on by itself (needs root, ip, nft)",
  async () => {
    await using link = makeLink();
    const { client, server, serverHost } = link;
    const wire = { client, server, clientDevice: "v0", serverDevice: "v0" };
    const result = await outage({
      wire: { ...wire, clientAddress: "10.77.0.1/24", serverAddress: serverHost },
      bytes: 24 * MIB,
      bytesPerSecond: 6 * MIB,
      // A session is given up after two pings' time.
      pingMs: 1_000,
      downMs: 3_000,
      goneMs: 500,
    });
    expect(result.violations).toEqual([]);
    expect(result.attempts).toBeGreaterThan(1);
    // Of the 24 MiB: what came within the second before each of the three, and what was in flight.
    expect(result.redoBytes).toBeLessThan(24 * MIB);
  },
);
