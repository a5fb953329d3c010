import { join } from "node:path";
import type { PartRecord } from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import { ageBook, encodeAges, readAges } from "./expiry-ages.ts";
import { namedFiles } from "./failure.ts";
import { type CheckpointFiles, nodeFiles } from "./files.ts";
import { inspectCheckpoint } from "./inspect.ts";
import { BINDING } from "./names.ts";
import { removeCheckpoint } from "./remove.ts";

export interface ExpireOptions {
  /** Those that were not written to for so long go. Never earlier, whatever the clock says. */
  readonly keepMs: number;
  /** Of what is left at most so many stay, the newest. */
  readonly maxCount: number;
  /** Time of day, ms; it may be wrong by years. */
  readonly now: number;
  /** Those that are in use; they stay and are not counted. */
  readonly inUse?: (name: string) => boolean;
  /** Called before one goes, with the parts that it knew, so that they can be removed from the destination. When it rejects, it stays. */
  readonly beforeRemoval?: (expired: ExpiredCheckpoint) => Promise<void>;
  readonly files?: CheckpointFiles;
}

export interface ExpiredCheckpoint {
  /** Of its folder. */
  readonly name: string;
  /** Empty where it could not be read. */
  readonly parts: readonly PartRecord[];
}

export interface Expiry {
  readonly removed: readonly string[];
  readonly kept: number;
  /** Those that could not be removed; tried again the next time. */
  readonly failed: readonly PbError[];
}

/** Where ages are kept, beside the checkpoints. */
const AGES = ".ages";

/**
 * Removes old checkpoints among the folders in `directory`. A folder without a checkpoint is left alone. Ages are counted by what passed
 * between calls, and one call adds at most a quarter of `keepMs`: a clock that is ten years ahead once makes nothing old, and one that
 * is set back makes nothing older.
 */
export async function expireCheckpoints(directory: string, options: ExpireOptions): Promise<Expiry> {
  const files = namedFiles(options.files ?? nodeFiles, { wrote: () => {}, synced: () => {} });
  const found = await findCheckpoints(files, directory);
  if (found === undefined) return { removed: [], kept: 0, failed: [] };
  const book = ageBook(await readAges(files, join(directory, AGES)), options);
  const known = found.map(({ name, modified }) => book.of(name, modified));
  const free = known
    .filter(({ name }) => !options.inUse?.(name))
    .sort((a, b) => a.ageMs - b.ageMs || b.modified - a.modified);
  const expired = free.filter(({ ageMs }, index) => ageMs >= options.keepMs || index >= options.maxCount);

  const removed: string[] = [];
  const failed: PbError[] = [];
  for (const { name } of expired) {
    try {
      await removeOne(files, directory, { name, options });
      removed.push(name);
    } catch (cause) {
      failed.push(PbError.from(cause, "io_error", { path: join(directory, name) }));
    }
  }
  const kept = known.filter(({ name }) => !removed.includes(name));
  await writeAges(files, directory, encodeAges(kept, options.now));
  return { removed, kept: kept.length, failed };
}

interface Found {
  readonly name: string;
  /** Of its newest file, ms; only compared with itself. */
  readonly modified: number;
}

async function findCheckpoints(files: CheckpointFiles, directory: string): Promise<Found[] | undefined> {
  if ((await files.modified(directory)) === undefined) return undefined;
  const found: Found[] = [];
  for (const name of await files.list(directory)) {
    const folder = join(directory, name);
    if (name === AGES || (await modifiedIn(files, folder, BINDING)) === undefined) continue;
    let modified = 0;
    for (const each of await files.list(folder)) {
      modified = Math.max(modified, (await modifiedIn(files, folder, each)) ?? 0);
    }
    found.push({ name, modified });
  }
  return found;
}

async function modifiedIn(files: CheckpointFiles, folder: string, name: string): Promise<number | undefined> {
  try {
    return await files.modified(join(folder, name));
  } catch (cause) {
    // A file among the folders: not ours.
    if (cause instanceof PbError && cause.code === "not_a_directory") return undefined;
    throw cause;
  }
}

async function removeOne(
  files: CheckpointFiles,
  directory: string,
  { name, options }: { name: string; options: ExpireOptions },
): Promise<void> {
  const folder = join(directory, name);
  if (options.beforeRemoval) await options.beforeRemoval({ name, parts: await partsOf(folder, options) });
  await removeCheckpoint(files, folder);
}

/** One that is damaged, or of another version, must go all the same. */
async function partsOf(folder: string, options: ExpireOptions): Promise<readonly PartRecord[]> {
  try {
    return (await inspectCheckpoint(folder, options.files))?.recovered.parts ?? [];
  } catch (cause) {
    const codes = ["corrupt_checkpoint", "unsupported_version", "wrong_job"];
    if (cause instanceof PbError && codes.includes(cause.code)) return [];
    throw cause;
  }
}

async function writeAges(files: CheckpointFiles, directory: string, bytes: Buffer): Promise<void> {
  const path = join(directory, AGES);
  const beside = `${path}.tmp`;
  await files.remove(beside);
  const file = await files.create(beside);
  try {
    await file.write(bytes, 0);
  } finally {
    await file.close();
  }
  await files.rename(beside, path);
}
