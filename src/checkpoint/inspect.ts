import type { CheckpointBinding, RecoveredCheckpoint } from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import { readBinding } from "./binding.ts";
import { namedFiles } from "./failure.ts";
import { type CheckpointFiles, nodeFiles } from "./files.ts";
import { BINDING } from "./names.ts";
import { recover } from "./recover.ts";
import { summary } from "./summary.ts";

export interface Inspected {
  readonly binding: CheckpointBinding;
  readonly recovered: RecoveredCheckpoint;
}

/**
 * What a checkpoint holds, without changing a byte; of one that is open it is what was durable at some moment. undefined: there is none.
 * @throws PbError `corrupt_checkpoint` when it does not say any more whose it is, `unsupported_version`, `wrong_job`
 */
export async function inspectCheckpoint(
  directory: string,
  source: CheckpointFiles = nodeFiles,
): Promise<Inspected | undefined> {
  const files = namedFiles(source, { wrote: () => {}, synced: () => {} });
  try {
    const names = await files.list(directory);
    if (!names.includes(BINDING)) return undefined;
    const binding = await readBinding(files, directory);
    if (binding === "damaged") throw corrupt(directory);
    return { binding, recovered: summary(await recover({ files, directory, binding })) };
  } catch (cause) {
    if (cause instanceof PbError && cause.code === "not_found") return undefined;
    throw cause;
  }
}

function corrupt(path: string): PbError {
  return new PbError("corrupt_checkpoint", `the checkpoint in ${path} does not say any more whose it is`, {
    path,
    hint: "give the same transfer again: what it knew is found by that; or remove the folder to start afresh",
  });
}
