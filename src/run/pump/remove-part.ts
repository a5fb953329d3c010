import type { ChunkAccess } from "../../backend/backend.ts";
import { PbError } from "../../model/error.ts";

/** What an earlier run has written of a file, by the state that its sink gave. */
export interface WrittenPart {
  readonly path: string;
  readonly size: number;
  readonly state: Uint8Array;
}

/** Removes it. What is not there any more is no error. */
export async function removePart(
  chunks: ChunkAccess,
  { path, size, state }: WrittenPart,
  signal: AbortSignal,
): Promise<void> {
  try {
    const options = { meta: { mtimeNs: 0n }, size, sync: false, resume: state, signal };
    await using sink = await chunks.create(path, options);
    await sink.discard(signal);
  } catch (cause) {
    if (PbError.from(cause).code !== "corrupt_checkpoint") throw cause;
  }
}
