import type { RecoveredCheckpoint } from "../model/checkpoint.ts";
import type { Recovery } from "./recover.ts";
import { durableBytes, wholePart } from "./state.ts";

export function summary({ state, notes, begunMs }: Recovery): RecoveredCheckpoint {
  const entries = Array.from(state.files.entries(), ([, entry]) => entry);
  return {
    parts: entries.map((entry) => {
      const { extraAt: _, extra, ...part } = wholePart(entry);
      return extra.length > 0 ? { ...part, extra } : part;
    }),
    done: state.done.packed(),
    doneFiles: state.done.size,
    doneBytes: state.doneBytes,
    partBytes: entries.reduce((sum, entry) => sum + durableBytes(entry), 0),
    notes,
    begunMs,
  };
}
