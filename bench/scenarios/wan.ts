import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeRandomFile } from "../../test/e2e/lib/random.ts";
import { inScratch } from "../lib/folder.ts";
import { overload } from "../netlab/check.ts";
import { createLab, type Lab } from "../netlab/lab.ts";
import { whyNoLab } from "../netlab/shell.ts";
import { resolveTopology } from "../netlab/topology.ts";
import { type Outcome, outcomeOf } from "../outcome.ts";
import { type LinkReport, makeReport } from "../report.ts";
import type { LabOptions, LabScenario } from "../scenario.ts";
import { allowControllers, entrants } from "../wan/entrants.ts";
import { measureWan } from "../wan/measure.ts";
import { pickRows, topologyOf, type WanRow } from "../wan/rows.ts";
import type { Work } from "../work.ts";
import { small } from "./many-files.ts";

const DEFAULT_RATE_MBIT = 1000;
/** TCP by CUBIC takes half an hour for 500 MiB at 100 ms and 1 % loss: nobody waits for it. */
const DEFAULT_LIMIT_SECONDS = { quick: 30, usual: 90 };
/** And so many round trips: iperf3 talks for some before it sends, and what is measured is the middle of the time. */
const IPERF_SECONDS = 3;
const IPERF_ROUND_TRIPS = 8;
const MTU = 1500;
const ETHERNET_BYTES = 14;
const IP_TCP_BYTES = 40;

/** Links of the wide area, one after the other, each with all peers. */
export const wan: LabScenario = {
  name: "wan",
  peers: ["pb-udp", "pb-tcp", "globus", "rsync", "curl", "aria2", "rclone", "scp"],
  play: async function* (options) {
    const rows = pickRows(options.only);
    const why = whyNoLab();
    if (why !== undefined) throw new Error(`wan: no network namespaces here: ${why}`);
    using _ = allowControllers();
    for (const row of rows) yield await playRow(row, options);
  },
};

async function playRow(row: WanRow, options: LabOptions): Promise<Outcome> {
  const mebibytes = row.mebibytes(options);
  const bytes = mebibytes === "small" ? small.spaceBytes(options) : mebibytes * 2 ** 20 * 2;
  const rateMbitPerSec = options.rateMbitPerSec ?? DEFAULT_RATE_MBIT;
  return inScratch(bytes, async (folder, base) => {
    mkdirSync(folder.at("source"));
    const work = await prepare(row, folder.at("source"), options);
    await using lab = await createLab(resolveTopology(topologyOf(row, rateMbitPerSec)), {
      backend: "emulator",
    });
    const hosts = { from: hostOf(lab, "client"), to: hostOf(lab, "server") };
    const link = await describe(lab, row, rateMbitPerSec);
    options.say(`${row.name}: ${link.title}; iperf3: ${link.given}`);
    const limit = options.timeoutSeconds ?? DEFAULT_LIMIT_SECONDS[options.quick ? "quick" : "usual"];
    const runs = await measureWan(
      lab,
      { entrants: entrants(options.peers), work },
      {
        rounds: options.rounds,
        warm: row.warm,
        limitMs: limit * 1000,
        scratch: folder.at("peers"),
        hosts,
        say: (line) => options.say(`${row.name}: ${line}`),
      },
    );
    const about = { name: `wan-${row.name}`, chart: "rate" } as const;
    return outcomeOf(makeReport(about, { work, hosts, folder: base, runs, link }));
  });
}

async function prepare(row: WanRow, folder: string, options: LabOptions): Promise<Work> {
  const mebibytes = row.mebibytes(options);
  if (mebibytes === "small") return { ...(await small.prepare(folder, options)), unit: "Gbit/s" };
  const path = join(folder, "big.bin");
  const bytes = mebibytes * 2 ** 20;
  await writeRandomFile(path, bytes, "wan");
  return { title: `one file of ${mebibytes} MiB`, path, kind: "file", bytes, files: 1, unit: "Gbit/s" };
}

function hostOf(lab: Lab, name: string) {
  const { namespace, addresses } = lab.host(name);
  return { namespace, address: addresses[0]?.address ?? "" };
}

async function describe(lab: Lab, { title }: WanRow, rateMbitPerSec: number): Promise<LinkReport> {
  const [link] = lab.links;
  if (link === undefined) throw new Error("wan: a lab without a link");
  const roundTripMs = link.spec.forward.delayMs + link.spec.back.delayMs;
  const seconds = IPERF_SECONDS + Math.ceil((IPERF_ROUND_TRIPS * roundTripMs) / 1000);
  const given = await overload(lab, link, seconds).catch((error: unknown) => `no result: ${String(error)}`);
  const rateBitsPerSec = rateMbitPerSec * 1e6;
  return {
    title: `${rateMbitPerSec} Mbit/s, ${title}`,
    rateBitsPerSec,
    payloadBitsPerSec: (rateBitsPerSec * (MTU - IP_TCP_BYTES)) / (MTU + ETHERNET_BYTES),
    given,
  };
}
