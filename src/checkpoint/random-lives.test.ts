import { describe, expect, it } from "vitest";
import type { CheckpointBatch, PartRecord } from "../model/checkpoint.ts";
import { Disk, type Operation } from "./testing/crash-disk.ts";
import { CrashFiles } from "./testing/crash-files.ts";
import { batch, chanceOf, done, History, key, part, runs } from "./testing/history.ts";
import { live, openOn, violation } from "./testing/life.ts";

const FILES = 6;
const SEEDS = 12;
const SESSIONS = 4;

/** Any batch that an engine may tell; `inodes`: which part each file has now. */
function anyBatch(chance: () => number, inodes: bigint[]): CheckpointBatch {
  const below = (bound: number) => Math.floor(chance() * bound);
  const parts: PartRecord[] = [];
  const finished: number[] = [];
  const gone: Uint8Array[] = [];
  for (let file = 1; file <= FILES; file += 1) {
    const what = chance();
    if (what < 0.1) inodes[file] = BigInt(below(1_000_000));
    if (what < 0.12) gone.push(key(file));
    if (what < 0.4) {
      const extra = chance() < 0.3 ? { extra: Buffer.from(`+${below(100)}`) } : {};
      const chunks = runs(below(256), [below(20), 1 + below(3)], [40 + below(20), 1]);
      parts.push(part(file, chunks, { inode: inodes[file] ?? 1n, ...extra }));
    } else if (what < 0.45) finished.push(file);
  }
  while (chance() < 0.5) finished.push(20 + below(200));
  return batch({ parts, done: done(...finished), gone: Buffer.concat(gone) });
}

interface World {
  disk: Disk;
  /** What may be known before this session has acknowledged anything. */
  before: (text: string) => boolean;
}

/** One process: opens, records, closes or is killed; every power cut on the way is looked at. Then, at times, there is one. */
async function session(world: World, chance: () => number, inodes: bigint[]): Promise<string | undefined> {
  const base = world.disk.copy();
  const log: Operation[] = [];
  const killed = chance() < 0.5;
  const dieAfter = killed ? 5 + Math.floor(chance() * 60) : Number.POSITIVE_INFINITY;
  const files = new CrashFiles({ disk: world.disk, log, dieAfter });
  let history: History | undefined;
  const life = (async () => {
    const checkpoint = await openOn(files);
    history = new History(() => log.length, checkpoint.recovered);
    await live(
      history,
      checkpoint,
      Array.from({ length: 8 }, () => anyBatch(chance, inodes)),
    );
    await checkpoint.close();
  })();
  await Promise.race([life, files.died]);
  files.kill();

  const { before } = world;
  const allows = (text: string, operations: number) =>
    history?.allows(text, operations) ||
    (!(operations >= (history?.acknowledgedAt[1] ?? Number.POSITIVE_INFINITY)) && before(text));
  if (history && !before(history.states[0] ?? "")) return `opened with ${history.states[0]}`;
  const found = await violation(log, { base, few: true, everyByte: false, random: 2, allows });
  const end = log.length;
  world.before = (text) => allows(text, end);
  if (chance() < 0.5) world.disk = world.disk.crashed((change) => (chance() < 0.5 ? change : undefined));
  return found;
}

describe("any life", () => {
  it.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
    "of seed %i, with kills and power cuts anywhere, loses and mixes nothing",
    async (seed) => {
      const chance = chanceOf(seed);
      const inodes: bigint[] = [];
      const world: World = { disk: new Disk(), before: (text) => text === "--" };
      for (let number = 0; number < SESSIONS; number += 1) {
        expect(await session(world, chance, inodes), `session ${number}`).toBeUndefined();
      }
    },
    60_000,
  );
});
