/** A second transfer begins from what the first learned of the path, in both directions. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { createLab } from "../../bench/netlab/lab.ts";
import { buildEmulator, whyNoLab } from "../../bench/netlab/shell.ts";
import { resolveTopology } from "../../bench/netlab/topology.ts";
import { type Pair, startPair } from "./harness.ts";
import { until } from "./lib/process.ts";
import { writeRandomFile } from "./lib/random.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
const why = whyNoLab();
const MIB = 1024 * 1024;
/** Of a path that carries 60 Mbit/s: whatever else runs on the machine, it is full of 12 MiB sooner or later. */
const TOPOLOGY = resolveTopology({
  links: [{ between: ["client", "server"], rateMbitPerSec: 60, delayMs: 20, queueBdp: 2 }],
});

interface Receipt {
  readonly transport: string;
  readonly paths: readonly { readonly warm: boolean; readonly pathRate: number }[];
}

async function transfer(pair: Pair, from: string, to: string): Promise<Receipt> {
  const args = ["transfer", "--json", "--transport", "udp", from, to];
  return (await pair.ok(args, { timeoutMs: 60_000 })).json<Receipt>();
}

describe.skipIf(why !== undefined)("a known path (needs root, ip, nsenter, cargo)", () => {
  beforeAll(() => {
    buildEmulator(ROOT);
  }, 600_000);

  test("is remembered by whoever sends", async () => {
    await using lab = await createLab(TOPOLOGY, { backend: "emulator" });
    const server = lab.host("server");
    await using pair = await startPair({
      namespace: server.namespace,
      listen: `${server.addresses[0]?.address}:7700`,
      clientNamespace: lab.host("client").namespace,
    });
    const source = pair.scratch.at("source");
    await writeRandomFile(source, 12 * MIB, 1);
    const warm = ({ paths }: Receipt) => paths.some((path) => path.warm);
    const learned = (folder: string) =>
      Object.values(JSON.parse(readFileSync(join(folder, "paths.json"), "utf8")));

    const first = await transfer(pair, source, "box:/one");
    expect([first.transport, warm(first)]).toEqual(["udp", false]);
    expect(learned(pair.home)).toMatchObject([{ minRttNs: expect.any(Number) }]);
    expect(warm(await transfer(pair, source, "box:/two"))).toBe(true);

    expect(warm(await transfer(pair, "box:/one", pair.scratch.at("back")))).toBe(false);
    // The client does not wait until the server has written it down.
    await until("the server's paths", () => existsSync(join(pair.state, "paths.json")), 5_000);
    expect(learned(pair.state)).toHaveLength(1);
    expect(warm(await transfer(pair, "box:/one", pair.scratch.at("again")))).toBe(true);
  }, 120_000);
});
