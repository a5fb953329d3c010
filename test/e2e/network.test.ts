import { describe, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { type Link, makeLink, whyNoNamespaces } from "./lib/network.ts";
import { writeRandomFile } from "./lib/random.ts";
import { differences, makeTree } from "./lib/tree.ts";

const why = whyNoNamespaces();

async function across(link: Link): Promise<Pair> {
  return startPair({
    namespace: link.server,
    clientNamespace: link.client,
    listen: `${link.serverHost}:0`,
  });
}

interface Receipt {
  readonly transport: string;
  readonly lossRate: number;
  readonly retransmittedBytes: number;
  readonly notices: readonly { readonly code: string }[];
}

/** Two namespaces joined by veth, rules by nft. Skipped where those cannot be had (root, iproute2, nftables). */
describe.skipIf(why !== undefined)("between two namespaces (needs root, ip, nft)", () => {
  test.each(["udp", "tcp"])(
    "%s with 1 % of packets dropped in both directions: equal up and down",
    async (transport) => {
      await using link = makeLink();
      await using pair = await across(link);
      link.drop(1);
      const tree = pair.scratch.at("tree");
      await makeTree(tree, { files: 400, seed: "lossy", largestFile: 64 << 10 });
      await writeRandomFile(`${tree}/large`, 48 << 20, "lossy");
      const options = ["--json", "--transport", transport];
      const up = await pair.ok(["cp", ...options, tree, "box:/tree"]);
      expect(await differences(tree, `${pair.root}/tree`)).toEqual([]);
      const receipt = up.json<Receipt>();
      expect(receipt.transport).toBe(transport);
      if (transport === "udp") {
        expect(receipt.lossRate).toBeGreaterThan(0.002);
        expect(receipt.lossRate).toBeLessThan(0.1);
        expect(receipt.retransmittedBytes).toBeGreaterThan(0);
      }
      await pair.ok(["cp", ...options, "box:/tree", pair.scratch.at("down")]);
      expect(await differences(tree, pair.scratch.at("down"))).toEqual([]);
    },
  );

  test("UDP blocked: auto falls back to TCP and says so; udp alone gives up in time", async () => {
    await using link = makeLink();
    await using pair = await across(link);
    link.blockUdp();
    await writeRandomFile(pair.scratch.at("file"), 4 << 20, "blocked");
    const sent = await pair.ok(["cp", "--json", pair.scratch.at("file"), "box:/file"]);
    const receipt = sent.json<Receipt>();
    expect(receipt.transport).toBe("tcp");
    expect(receipt.notices.map(({ code }) => code)).toContain("fallback-tcp");
    expect(sent.stderr).toMatch(/UDP/);
    expect(await differences(pair.scratch.at("file"), `${pair.root}/file`, { modes: false })).toEqual([]);
    const args = ["cp", "--json", "--transport", "udp", pair.scratch.at("file"), "box:/never"];
    const alone = await pair.pb(args, { timeoutMs: 30_000 });
    expect(alone.code).toBe(5);
  });

  test("UDP open: auto uses it", async () => {
    await using link = makeLink();
    await using pair = await across(link);
    await writeRandomFile(pair.scratch.at("file"), 4 << 20, "open");
    const sent = await pair.ok(["cp", "--json", pair.scratch.at("file"), "box:/file"]);
    expect(sent.json<Receipt>().transport).toBe("udp");
  });
});
