import type { CheckpointFile, CheckpointFiles } from "./files.ts";
import { TEMPORARY } from "./names.ts";

export interface Replacing {
  readonly files: CheckpointFiles;
  readonly path: string;
  readonly write: (file: CheckpointFile) => Promise<void>;
  /** Asked when the content is durable: false leaves everything as it was. */
  readonly goOn?: () => Promise<boolean>;
}

/**
 * Writes a file whole: beside it, synced, renamed. After a crash the old or the new one has the name, whole. Which, is certain when the
 * folder is synced: the caller's business, who may have more names to make durable.
 */
export async function replaceFile({ files, path, write, goOn }: Replacing): Promise<boolean> {
  const beside = path + TEMPORARY;
  try {
    await files.remove(beside);
    const file = await files.create(beside);
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    if (goOn !== undefined && !(await goOn())) {
      await files.remove(beside);
      return false;
    }
    await files.rename(beside, path);
    return true;
  } catch (cause) {
    await files.remove(beside).catch(() => {});
    throw cause;
  }
}
