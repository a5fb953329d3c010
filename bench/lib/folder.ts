import { rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { type Scratch, scratch } from "../../test/e2e/lib/scratch.ts";
import { killAll } from "./side.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** tmpfs where it has room, so that the disk is not what is measured. */
function roomyFolder(bytes: number): string {
  for (const folder of ["/dev/shm", tmpdir()]) {
    try {
      const { bavail, bsize } = statfsSync(folder);
      if (bavail * bsize > bytes * 1.2) return folder;
    } catch {
      // Not there: the next one.
    }
  }
  throw new Error(`no temporary folder has ${bytes} bytes free`);
}

/** A scratch folder with room for `bytes`; gone afterwards, with all that runs, also when this program is told to stop. */
export async function inScratch<T>(
  bytes: number,
  act: (folder: Scratch, base: string) => Promise<T>,
): Promise<T> {
  const base = roomyFolder(bytes);
  await using folder = scratch(base);
  // Servers that were stopped in the middle would stay, and so would gigabytes of memory.
  const interrupted = () => {
    killAll();
    rmSync(folder.path, { recursive: true, force: true });
    process.exit(130);
  };
  for (const name of SIGNALS) process.once(name, interrupted);
  try {
    return await act(folder, base);
  } finally {
    for (const name of SIGNALS) process.off(name, interrupted);
  }
}
