import { setImmediate as turn } from "node:timers/promises";
import type { Checkpoint, CheckpointBatch } from "../../model/checkpoint.ts";
import { openCheckpoint } from "../checkpoint.ts";
import { namedFiles } from "../failure.ts";
import type { CheckpointFiles } from "../files.ts";
import type { CheckpointLimits } from "../limits.ts";
import { recover } from "../recover.ts";
import { summary } from "../summary.ts";
import { type CrashChoice, crashes, Disk, type Operation } from "./crash-disk.ts";
import { CrashFiles } from "./crash-files.ts";
import { batch, chanceOf, done, type History, key, Model, part, runs } from "./history.ts";

export const PLACE = { directory: "/state/jobs/j", binding: { job: "j", destination: "d:/x" } };
const FOLDERS = new Set(["/state", "/state/jobs", "/state/jobs/j", "/state/jobs/j/active"]);
/** So small that a short life has snapshots, several generations and rounds. */
export const LIMITS: Partial<CheckpointLimits> = { snapshotUpdates: 3, generationBytes: 900, commitMs: 0 };

/** Files that begin, go on, are finished, discarded, begun anew as another part, with bytes of their mover; and small files. */
export const LIFE: readonly CheckpointBatch[] = [
  batch({ parts: [part(1, runs(1, [0, 2]))] }),
  batch({ parts: [part(1, runs(2, [4, 1])), part(2, runs(3, [0, 1]), { extra: Buffer.from("upload") })] }),
  batch({ parts: [part(3, runs(5, [7, 1]))], done: done(10, 11) }),
  batch({ parts: [part(1, runs(4, [2, 2]))], done: done(12) }),
  batch({ parts: [part(2, runs(5, [1, 1]), { extra: Buffer.from("+etag") }), part(3, runs(6, [7, 1]))] }),
  batch({ parts: [part(1, runs(7, [5, 3]))], gone: key(3) }),
  batch({ done: done(2, 13) }),
  batch({ parts: [part(3, runs(8, [0, 3]), { inode: 99n })] }),
  batch({ parts: [part(3, runs(9, [3, 1]), { inode: 100n })], done: done(1) }),
  batch({ parts: [part(4, runs(9, [0, 1])), part(3, runs(9, [4, 1]), { inode: 100n })] }),
  batch({ parts: [part(3, runs(10, [5, 1]), { inode: 100n })], done: done(14, 15, 16) }),
  batch({ parts: [part(4, runs(10, [1, 2])), part(3, runs(10, [9, 1]), { inode: 100n })], gone: key(9) }),
  batch({ parts: [part(5, runs(10, [1, 2]))], gone: key(4) }),
];

export function openOn(files: CheckpointFiles): Promise<Checkpoint> {
  return openCheckpoint({ ...PLACE, files, now: () => 0, limits: LIMITS });
}

/** Two at a time now and then; between them the flusher gets its turn. */
export async function live(
  history: History,
  checkpoint: Checkpoint,
  batches: readonly CheckpointBatch[],
): Promise<void> {
  for (let at = 0; at < batches.length; ) {
    const together = batches.slice(at, at + (at % 3 === 2 ? 2 : 1));
    await Promise.all(together.map((each) => history.record(checkpoint, each)));
    await turn();
    at += together.length;
  }
}

/** What a fresh process knows of this disk; a text that no history allows when it finds damage that no crash explains. */
export async function knows(disk: Disk): Promise<string> {
  const files = namedFiles(new CrashFiles({ disk }), { wrote: () => {}, synced: () => {} });
  if (disk.find(PLACE.directory) === undefined) return new Model().text();
  const recovered = summary(await recover({ files, ...PLACE }));
  const damage = recovered.notes.filter(({ kind }) => kind !== "torn_tail");
  return damage.length > 0 ? `damage: ${JSON.stringify(damage)}` : Model.of(recovered).text();
}

export interface Looking extends Pick<CrashChoice, "everyByte" | "random" | "few"> {
  /** Operations before it are not looked at. */
  readonly from?: number;
  /** What the disk was before the log. Default: empty. */
  readonly base?: Disk;
  readonly allows: (text: string, operations: number) => boolean;
}

/** The first crash of a run after which something is known that must not be; undefined: there is none. */
export async function violation(log: readonly Operation[], looking: Looking): Promise<string | undefined> {
  const disk = looking.base?.copy() ?? new Disk();
  const chance = chanceOf(log.length);
  for (const [index, operation] of log.entries()) {
    const { change, path } = operation;
    if (change !== "sync" && change.kind === "link")
      disk.put(change.node, FOLDERS.has(path) ? "folder" : "file");
    disk.apply(operation);
    if (index < (looking.from ?? 0)) continue;
    const everyByte = looking.everyByte && change !== "sync" && change.kind === "write";
    for (const left of crashes(disk, { ...looking, everyByte, chance })) {
      const text = await knows(left);
      if (!looking.allows(text, index + 1)) return `after ${index + 1} operations (${path}): ${text}`;
    }
  }
  return undefined;
}
