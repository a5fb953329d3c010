import { expect, test } from "vitest";
import { startPair } from "./harness.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";

const MIB = 1 << 20;
/** A gibibyte shows what grows with the file; PB_SOAK asks for the four of the promise (`npm run soak`). */
const BYTES = (process.env.PB_SOAK === undefined ? 1024 : 4096) * MIB;
const BOUND = 250 * MIB;

test.each(["udp", "tcp"])(
  "with 64 MiB of buffers a large file moves over %s with under 250 MiB resident on each side",
  async (transport) => {
    await using pair = await startPair();
    const path = pair.scratch.at("big");
    await writeRandomFile(path, BYTES, "memory");
    const options = ["--json", "--memory", "64MiB", "--transport", transport];
    const long = { timeoutMs: 540_000 };
    const up = await pair.ok(["cp", ...options, path, "box:/big"], long);
    const down = await pair.ok(["cp", ...options, "box:/big", pair.scratch.at("down")], long);
    for (const side of [up.peakBytes, down.peakBytes, pair.server.peakBytes()]) {
      expect(side).toBeGreaterThan(20 * MIB);
      expect(side).toBeLessThan(BOUND);
    }
    expect(await sha256OfFile(pair.scratch.at("down"))).toBe(await sha256OfFile(path));
  },
  600_000,
);
