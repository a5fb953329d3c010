import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { createLab } from "../../bench/netlab/lab.ts";
import { probe } from "../../bench/netlab/measure.ts";
import { buildEmulator, whyNoLab } from "../../bench/netlab/shell.ts";
import { resolveTopology } from "../../bench/netlab/topology.ts";
import { exited, start, until } from "./lib/process.ts";
import { scratch } from "./lib/scratch.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
const why = whyNoLab();

const namespaces = (prefix: string) => readdirSync("/run/netns").filter((name) => name.startsWith(prefix));

/** Emulators and guardians that name this owner. */
function helpers(owner: number): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(1).join(" ");
      } catch {
        return "";
      }
    })
    .filter((words) => words.startsWith(`run ${owner} `) || words.startsWith(`guard pblab-${owner}-`));
}

/** Bounds are such that a busy machine passes: what may be late is bounded from below, what is seeded is counted. */
describe.skipIf(why !== undefined)("netlab (needs root, ip, nsenter, cargo)", () => {
  beforeAll(() => {
    buildEmulator(ROOT);
  }, 600_000);

  test("two links of a pair: delay, loss and rate are what was asked, and nothing stays behind", async () => {
    const topology = resolveTopology({
      seed: 11,
      links: [
        {
          name: "lossy",
          between: ["a", "b"],
          rateMbitPerSec: 20,
          delayMs: 50,
          forward: { lossPercent: 5, meanBurstPackets: 3 },
        },
        { name: "slow", between: ["a", "b"], rateMbitPerSec: 20, queueBytes: 2_000_000 },
      ],
    });
    {
      await using lab = await createLab(topology, { backend: "emulator" });
      const [from, to] = [lab.host("a"), lab.host("b")];
      const path = (link: string) => ({
        from,
        to,
        address: to.addresses.find((item) => item.link === link)?.address ?? "",
      });
      const paced = await probe(lab, { ...path("lossy"), count: 4000, intervalUs: 1000, waitMs: 1000 });
      expect(paced.rttMs.min).toBeGreaterThanOrEqual(100);
      expect(paced.rttMs.min).toBeLessThan(105);
      expect(paced.rttMs.median).toBeGreaterThanOrEqual(100);
      const counted = await lab.links[0]?.counters();
      expect(counted?.forward.packets).toBeGreaterThan(3900);
      expect(counted?.forward.lost).toBeGreaterThan(120);
      expect(counted?.forward.lost).toBeLessThan(280);
      expect(counted?.back.lost).toBe(0);
      expect(paced.received).toBeLessThanOrEqual(4000 - (counted?.forward.lost ?? 0));
      expect(paced.received).toBeGreaterThan(2000);
      expect([paced.damaged, paced.duplicated, paced.reordered]).toEqual([0, 0, 0]);

      // 1000 datagrams of 1442 bytes at once: the last one has waited for 577 ms.
      const burst = { ...path("slow"), count: 1000, intervalUs: 0, bytes: 1400, waitMs: 3000 };
      const { rttMs } = await probe(lab, burst);
      expect(rttMs.max).toBeGreaterThan(300);
      expect((await lab.links[1]?.counters())?.forward.droppedByQueue).toBe(0);
      expect(namespaces(`pblab-${process.pid}-`)).toHaveLength(3);
    }
    expect(namespaces(`pblab-${process.pid}-`)).toEqual([]);
    expect(helpers(process.pid)).toEqual([]);
  });

  test("hosts reach each other across others, and a lab of plain wires needs no emulator", async () => {
    const links = [{ between: ["a", "m"] }, { between: ["m", "n"] }, { between: ["n", "z"] }];
    await using lab = await createLab(resolveTopology({ links }));
    expect(lab.links.map(({ backend }) => backend)).toEqual(["veth", "veth", "veth"]);
    const [from, to] = [lab.host("a"), lab.host("z")];
    const address = to.addresses[0]?.address ?? "";
    const found = await probe(lab, { from, to, address, count: 20, intervalUs: 1000, waitMs: 2000 });
    expect(found.received).toBe(20);
  });

  test("an owner that is killed leaves nothing behind", async () => {
    await using folder = scratch();
    const file = folder.at("topology.json");
    await writeFile(file, JSON.stringify({ links: [{ between: ["a", "b"], delayMs: 5 }] }));
    const owner = start(process.execPath, ["scripts/run-ts.mjs", "bench/netlab/main.ts", "up", file], {
      cwd: ROOT,
    });
    const pid = owner.pid ?? 0;
    try {
      for await (const line of createInterface({ input: owner.stdout ?? process.stdin })) {
        if (line.includes(`pblab-${pid}-0-b`)) break;
      }
      const [inside] = namespaces(`pblab-${pid}-0-a`);
      expect(inside).toBeDefined();
      expect(helpers(pid)).toHaveLength(2);
      const tenant = start("sleep", ["600"], { namespace: inside ?? "" });
      await until("sleep runs", () => spawnSync("ip", ["netns", "pids", inside ?? ""]).stdout.length > 0);
      owner.kill("SIGKILL");
      await exited(owner);
      await until("the namespaces are gone", () => namespaces(`pblab-${pid}-`).length === 0);
      await until("emulator and guardian are gone", () => helpers(pid).length === 0);
      expect((await exited(tenant))[1]).toBe("SIGKILL");
    } finally {
      owner.kill("SIGKILL");
      // What a bundle's runner removes when it can.
      const bundle = join(ROOT, ".cache", `run-${pid}`);
      if (existsSync(bundle)) await rm(bundle, { recursive: true });
    }
  });
});
