/** Path memories in a small file of the client's or the server's state folder. */

import { readText, replaceFile } from "../credential/files.ts";
import { memoryOf, type PathHistory } from "../native/path-memory.ts";
import type { PathMemory } from "../native/types.ts";

/** A week: a path that carries less by then costs one flight of losses, see docs/design/0006-start-up.md. */
const KEPT_MS = 7 * 86_400_000;
/** The oldest make room. */
const MAX_PATHS = 256;

interface Remembered extends PathMemory {
  readonly atMs: number;
}

/** A file that is missing, damaged or not to be written remembers nothing: a transfer never fails by it. */
export function openPathHistory(file: string, now: () => number = Date.now): PathHistory {
  let writing: Promise<void> = Promise.resolve();

  async function read(): Promise<Map<string, Remembered>> {
    try {
      const all = Object.entries(JSON.parse(await readText(file)) as Record<string, unknown>);
      const fresh = all.filter((entry): entry is [string, Remembered] => isFresh(entry[1], now()));
      return new Map(fresh);
    } catch {
      return new Map();
    }
  }

  async function write(path: string, memory: PathMemory): Promise<void> {
    // Read again: other processes write it too. Who comes last wins, and nothing worth more than a few round trips is lost.
    const paths = await read();
    paths.set(path, { ...memory, atMs: now() });
    const newest = [...paths].sort(([, a], [, b]) => b.atMs - a.atMs).slice(0, MAX_PATHS);
    await replaceFile(file, `${JSON.stringify(Object.fromEntries(newest))}\n`).catch(() => undefined);
  }

  return {
    recall: async (path) => (await read()).get(path),
    learn(path, lanes) {
      const memory = memoryOf(lanes);
      if (memory !== undefined) writing = writing.then(() => write(path, memory));
      return writing;
    },
  };
}

function isFresh(value: unknown, now: number): value is Remembered {
  const { minRttNs, rateBytesPerSecond, lossRate, atMs } = value as Partial<Remembered>;
  const numbers = [minRttNs, rateBytesPerSecond, lossRate, atMs];
  if (!numbers.every((each) => Number.isFinite(each) && Number(each) >= 0)) return false;
  const age = now - Number(atMs);
  return age >= 0 && age < KEPT_MS;
}
