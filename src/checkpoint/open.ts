import { dirname, join } from "node:path";
import type { CheckpointBinding } from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import { writeBinding } from "./binding.ts";
import { compactDone, isWorthCompacting } from "./done-compact.ts";
import { DoneIndex } from "./done-index.ts";
import type { CheckpointFiles } from "./files.ts";
import { Folder } from "./folder.ts";
import { ACTIVE, DONE } from "./names.ts";
import { type Recovery, recover } from "./recover.ts";

export interface Place {
  readonly files: CheckpointFiles;
  readonly directory: string;
  readonly binding: CheckpointBinding;
  /** Folders above checkpoints whose names this process has made durable, and not made anew since. */
  readonly durable: Set<string>;
}

export interface Prepared {
  readonly recovery: Recovery;
  readonly index: DoneIndex;
  readonly folder: Folder;
}

/** Recovers, and makes the folder fit to be gone on with. */
export async function prepare(place: Place): Promise<Prepared> {
  const { files, directory, binding } = place;
  await makeFolders(place, directory);
  const recovery = await recover({ ...place, hashes: true });
  for (const path of recovery.leftovers) await files.remove(path);
  if (!recovery.hasActive) await files.makeFolder(join(directory, ACTIVE));
  if (!recovery.bound) {
    await syncParent(files, directory);
    await syncAncestors(place, dirname(directory));
    await writeBinding(files, directory, binding);
  }
  const folder = new Folder(files, directory);
  const index = await openIndex(place, recovery, folder);
  await settle(place, recovery);
  return { recovery, index, folder };
}

/**
 * A process that was killed leaves what can be read and yet is not durable; what builds on it has to be. Of a new checkpoint nothing is
 * built on: what `prepare` made is durable with the first batch, whose journal syncs the folder.
 */
async function settle({ files, directory }: Place, { chain, done, bound }: Recovery): Promise<void> {
  const newest = chain.at(-1);
  if (newest !== undefined) {
    await syncFile(files, newest.path);
    if (done !== undefined && done.records > 0) await syncFile(files, join(directory, DONE));
    await files.syncFolder(join(directory, ACTIVE));
  }
  // Also without a journal: the name of one that was removed is given again.
  if (bound || newest !== undefined) await files.syncFolder(directory);
}

async function syncFile(files: CheckpointFiles, path: string): Promise<void> {
  const file = await files.open(path, "write");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function openIndex(
  { files, directory }: Place,
  { done, digest, state }: Recovery,
  folder: Folder,
): Promise<DoneIndex> {
  const where = { files, directory, digest, folder };
  if (done === undefined) return new DoneIndex({ ...where, end: 0, seed: 0 });
  if (done.records === 0 && !done.whole) {
    await files.remove(join(directory, DONE));
    return new DoneIndex({ ...where, end: 0, seed: 0 });
  }
  if (isWorthCompacting(done, state.done.size)) {
    return new DoneIndex({ ...where, end: await compactDone(where, done), seed: done.seed });
  }
  if (done.bytes > done.end) await cut(files, join(directory, DONE), done.end);
  return new DoneIndex({ ...where, end: done.end, seed: done.seed });
}

async function cut(files: CheckpointFiles, path: string, size: number): Promise<void> {
  const file = await files.open(path, "write");
  try {
    await file.truncate(size);
  } finally {
    await file.close();
  }
}

async function makeFolders(
  { files, durable }: Pick<Place, "files" | "durable">,
  directory: string,
): Promise<void> {
  if ((await files.modified(directory)) !== undefined) return;
  const parent = dirname(directory);
  if (parent !== directory) await makeFolders({ files, durable }, parent);
  durable.delete(directory);
  await files.makeFolder(directory);
}

/** Who made them, and whether that is durable, is not known at first: it may have been a process that was killed then. */
async function syncAncestors(
  { files, durable }: Pick<Place, "files" | "durable">,
  folder: string,
): Promise<void> {
  if (dirname(folder) === folder || durable.has(folder)) return;
  await syncParent(files, folder);
  await syncAncestors({ files, durable }, dirname(folder));
  durable.add(folder);
}

async function syncParent(files: CheckpointFiles, folder: string): Promise<void> {
  try {
    await files.syncFolder(dirname(folder));
  } catch (cause) {
    // One that we may not read we have not made.
    if (!(cause instanceof PbError) || cause.code !== "permission_denied") throw cause;
  }
}
