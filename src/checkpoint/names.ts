import { join } from "node:path";

/** Files of a checkpoint; what they hold: docs/design/0004. */
export const BINDING = "binding";
export const DONE = "done";
export const ACTIVE = "active";
/** Not yet what its name says; removed when it is found. */
export const TEMPORARY = ".tmp";

const JOURNAL = /^journal-([1-9]\d{0,14})$/;
const SNAPSHOT = /^[0-9a-f]{32}$/;

export function journalName(generation: number): string {
  return `journal-${generation}`;
}

/** undefined: the name of something else. */
export function generationOf(name: string): number | undefined {
  const match = JOURNAL.exec(name);
  return match ? Number(match[1]) : undefined;
}

export function isSnapshotName(name: string): boolean {
  return SNAPSHOT.test(name);
}

export function snapshotPath(directory: string, key: string): string {
  return join(directory, ACTIVE, key);
}
