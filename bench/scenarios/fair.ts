import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { PB } from "../../test/e2e/lib/process.ts";
import { writeRandomFile } from "../../test/e2e/lib/random.ts";
import { sharing, yielding } from "../fair/analysis.ts";
import { share, visit } from "../fair/measure.ts";
import { type FairReport, type FairResult, fairChart, fairTable } from "../fair/report.ts";
import { type FairRow, pickFairRows } from "../fair/rows.ts";
import { inScratch } from "../lib/folder.ts";
import { find } from "../lib/program.ts";
import { whyNoLab } from "../netlab/shell.ts";
import { packetboatWith } from "../peers/packetboat.ts";
import type { LabOptions, LabScenario } from "../scenario.ts";
import type { Work } from "../work.ts";

/** What two cores route, send and receive with room to spare. */
const DEFAULT_RATE_MBIT = 200;
const DELAY_MS = 20;
const SECONDS = { quick: 20, usual: 60 };
/** Start-up, of programs and of congestion control, is not what is shared. */
const SETTLE_SECONDS = 5;

/** Our UDP transfer beside other flows of one bottleneck. */
export const fair: LabScenario = {
  name: "fair",
  peers: [],
  play: async function* (options) {
    const rows = pickFairRows(options.only);
    const why = whyNoLab() ?? (find("iperf3") === undefined ? "iperf3 is not installed" : undefined);
    if (why !== undefined) throw new Error(`fair: ${why}`);
    const seconds = SECONDS[options.quick ? "quick" : "usual"];
    const rateMbitPerSec = options.rateMbitPerSec ?? DEFAULT_RATE_MBIT;
    // More than the link can carry in the time, so that no flow is done before.
    const bytes = Math.ceil(((rateMbitPerSec * 1e6) / 8) * seconds * 1.1);
    const results = await inScratch(bytes * 3, async (folder) => {
      mkdirSync(folder.at("source"));
      const path = join(folder.at("source"), "big.bin");
      await writeRandomFile(path, bytes, "fair");
      const work: Work = { title: "", path, kind: "file", bytes, files: 1, unit: "Gbit/s" };
      const found: FairResult[] = [];
      for (const row of rows) {
        const result = await play(row, {
          ...options,
          seconds,
          rateMbitPerSec,
          work,
          scratch: folder.at("pairs"),
        });
        options.say(`${row.name}: ${result.failed ?? result.skipped ?? result.void ?? "done"}`);
        found.push(result);
        await rm(folder.at("pairs"), { recursive: true, force: true });
      }
      return found;
    });
    const report: FairReport = {
      scenario: "fair",
      rateMbitPerSec,
      roundTripMs: 2 * DELAY_MS,
      seconds,
      results,
    };
    yield {
      name: "fair",
      text: fairTable(report),
      data: report,
      svg: fairChart(report),
      failed: results.some(({ failed }) => failed !== undefined),
    };
  },
};

interface PlayOptions extends LabOptions {
  readonly seconds: number;
  readonly rateMbitPerSec: number;
  readonly work: Work;
  readonly scratch: string;
}

async function play(row: FairRow, options: PlayOptions): Promise<FairResult> {
  const later = row.beside === "later";
  if (later && !knowsBackground()) return { row, skipped: "this pb transfer has no --background" };
  const { seconds, rateMbitPerSec } = options;
  const peer = packetboatWith("pb-udp", "--transport", "udp", ...(later ? ["--background"] : []));
  try {
    const shared = await share(row, { ...options, rateMbitPerSec, delayMs: DELAY_MS, peer });
    const { series } = shared;
    const when = { ...visit(seconds), rateBitsPerSec: rateMbitPerSec * 1e6 };
    return {
      row,
      ...shared,
      sharing: sharing(series, later ? when.start : SETTLE_SECONDS, later ? when.end : seconds),
      ...(later ? { yielding: yielding(series, when) } : {}),
    };
  } catch (error) {
    return { row, failed: error instanceof Error ? error.message : String(error) };
  }
}

function knowsBackground(): boolean {
  return spawnSync(PB, ["transfer", "--help"], { encoding: "utf8" }).stdout.includes("--background");
}
