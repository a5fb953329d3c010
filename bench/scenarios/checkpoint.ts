import { mkdirSync, statfsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CheckpointResult, checkpointChart, checkpointTable, type Pair } from "../checkpoint/report.ts";
import { type CheckpointRow, pickCheckpointRows } from "../checkpoint/rows.ts";
import { inScratch } from "../lib/folder.ts";
import { warmMemory } from "../lib/warm.ts";
import type { Place } from "../peer.ts";
import { type Asked, openBox } from "../peers/packetboat.ts";
import { empty, faithfulCopy, makePlace, type Run, timed } from "../run.ts";
import type { LabOptions, LabScenario, WorkScenario } from "../scenario.ts";
import type { Work } from "../work.ts";
import { lan } from "./big-file.ts";
import { small } from "./many-files.ts";

const WORKS: Readonly<Record<CheckpointRow["work"], WorkScenario>> = { lan, small };
const HOST = { address: "127.0.0.1" };
const PEER = { name: "pb", role: "ours" } as const;

/** The same job without checkpoints and with, in turn: one server and one client, sources and copies in memory. */
export const checkpoint: LabScenario = {
  name: "checkpoint",
  peers: [],
  play: async function* (options) {
    const results: CheckpointResult[] = [];
    for (const row of pickCheckpointRows(options.only)) results.push(await play(row, options));
    yield {
      name: "checkpoint",
      text: checkpointTable(results),
      data: { scenario: "checkpoint", results },
      svg: checkpointChart(results),
      failed: results.some(({ failed }) => failed !== undefined),
    };
  },
};

function play(row: CheckpointRow, options: LabOptions): Promise<CheckpointResult> {
  const scenario = WORKS[row.work];
  return inScratch(scenario.spaceBytes(options), async (folder, base): Promise<CheckpointResult> => {
    const parent = row.state === "memory" ? base : diskFolder();
    if (parent === undefined) return { row, pairs: [], skipped: "no folder of a disk: TMPDIR names one" };
    const state = await mkdtemp(join(parent, "pb-bench-state-"));
    try {
      mkdirSync(folder.at("source"));
      const work = await scenario.prepare(folder.at("source"), options);
      const place = await makePlace(PEER, work, {
        scratch: folder.at("peers"),
        hosts: { from: HOST, to: HOST },
        watchMemory: false,
      });
      const pairs = await measure({ ...place, scratch: state }, work, { row, options, warm: folder.path });
      return { row, work: work.title, pairs };
    } catch (error) {
      return { row, pairs: [], failed: error instanceof Error ? error.message : String(error) };
    } finally {
      await rm(state, { recursive: true, force: true });
    }
  });
}

const OFF: Asked = { args: [], env: { PB_CHECKPOINTS: "off" } };
const ON: Asked = { args: [] };

interface Measuring {
  readonly row: CheckpointRow;
  readonly options: LabOptions;
  /** A folder of the tmpfs. */
  readonly warm: string;
}

/** One pair goes before and is not counted. */
async function measure(place: Place, work: Work, { row, options, warm }: Measuring): Promise<Pair[]> {
  const pairs: Pair[] = [];
  try {
    const transfer = await openBox(place);
    const once = async (asked: Asked): Promise<Run> => {
      await warmMemory(warm, work.bytes);
      const run = await timed({ open: { send: (what) => transfer(what, asked) }, place, work });
      faithfulCopy(PEER, place, work);
      await empty(place.destination);
      return run;
    };
    for (let round = 0; round <= options.rounds; round += 1) {
      const off = await once(OFF);
      const on = await once(ON);
      if (round > 0) pairs.push({ off, on });
      const what = round === 0 ? "warm-up" : `pair ${round}`;
      options.say(`${row.name}: ${what}: off ${off.seconds.toFixed(3)} s, on ${on.seconds.toFixed(3)} s`);
    }
  } finally {
    await Promise.all([place.from.close(), place.to.close()]);
  }
  return pairs;
}

/** statfs(2) of tmpfs and ramfs. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** A folder that is not in memory: what a sync costs is a part of what is measured. */
function diskFolder(): string | undefined {
  return [tmpdir(), process.cwd()].find((folder) => !IN_MEMORY.has(statfsSync(folder).type));
}
