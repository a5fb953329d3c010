import { join } from "node:path";
import { PbError } from "../model/error.ts";
import type { CheckpointFiles } from "./files.ts";
import { ACTIVE, BINDING, DONE, generationOf, TEMPORARY } from "./names.ts";

/** Removes what this room has made, and the folder when nothing else is in it. Done again it goes on where it stopped. */
export async function removeCheckpoint(files: CheckpointFiles, directory: string): Promise<void> {
  const names = await listed(files, directory);
  if (names === undefined) return;
  const ours = (name: string) =>
    name === DONE || generationOf(name) !== undefined || name.endsWith(TEMPORARY);
  for (const name of names.filter(ours)) await files.remove(join(directory, name));
  const active = names.includes(ACTIVE) ? await files.list(join(directory, ACTIVE)) : [];
  for (const name of active) await files.remove(join(directory, ACTIVE, name));
  if (names.includes(ACTIVE)) await files.removeFolder(join(directory, ACTIVE));
  await files.remove(join(directory, BINDING));
  if ((await files.list(directory)).length === 0) await files.removeFolder(directory);
}

async function listed(files: CheckpointFiles, directory: string): Promise<string[] | undefined> {
  try {
    return await files.list(directory);
  } catch (cause) {
    if (cause instanceof PbError && cause.code === "not_found") return undefined;
    throw cause;
  }
}
