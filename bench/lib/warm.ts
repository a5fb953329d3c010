import { open, rm } from "node:fs/promises";
import { join } from "node:path";

/** What programs need besides the copy itself: their own buffers, the sockets', the kernel's. */
const BESIDES_BYTES = 2 ** 30;
const STEP = Buffer.alloc(4 * 2 ** 20, 1);

/**
 * Touches as much memory as a run will need and frees it again. A virtual machine whose balloon reports free pages gives them back to
 * its host within seconds, and touching them anew was seen to cost eight times the copy itself (3.7 s instead of 0.45 s for a
 * GiB): whoever ran after a pause paid for it, and whoever held more memory paid more.
 *
 * @param folder on a tmpfs; elsewhere it is the page cache that is warmed
 */
export async function warmMemory(folder: string, workBytes: number): Promise<void> {
  const path = join(folder, "warm");
  const file = await open(path, "w");
  try {
    for (let left = workBytes + BESIDES_BYTES; left > 0; left -= STEP.length) await file.write(STEP);
  } finally {
    await file.close();
    await rm(path);
  }
}
