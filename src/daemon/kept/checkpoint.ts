import type { Checkpoint, CheckpointBinding, RecoveredCheckpoint } from "../../model/checkpoint.ts";
import type { Target } from "../../run/target.ts";

/** The room `checkpoint/`, as this room uses it. */
export interface Checkpoints {
  open(options: { readonly directory: string; readonly binding: CheckpointBinding }): Promise<Checkpoint>;
  /** What one holds, without changing a byte; undefined where there is none. */
  inspect(directory: string): Promise<{ readonly recovered: RecoveredCheckpoint } | undefined>;
}

/** The same target, the same text: a checkpoint must not be taken for that of another. */
export function bindingOf(job: string, { path, exactName }: Target): CheckpointBinding {
  return { job, destination: `${exactName ? "file" : "folder"} ${path}` };
}

/** What a checkpoint that nobody has open knows; undefined where there is none, or nothing can be made of it any more. */
export async function keptIn(
  { inspect }: Pick<Checkpoints, "inspect">,
  directory: string,
): Promise<RecoveredCheckpoint | undefined> {
  const inspected = await inspect(directory).catch(() => undefined);
  return inspected?.recovered;
}
