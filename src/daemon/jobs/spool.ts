/** What is on its way between two servers, kept on this machine for a later run of its job. */

import { lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PbError } from "../../model/error.ts";
import { pathText } from "../../model/path.ts";
import type { Spool } from "../../run/request.ts";
import type { JobDeps } from "./deps.ts";
import { bootId } from "./process.ts";

type Deps = Pick<JobDeps, "spoolParent" | "checkpoints">;

/** Names the boot of this machine in which what is there was written. */
const BOOT = "boot";

function folderOf({ spoolParent }: Pick<Deps, "spoolParent">, id: string): string {
  return join(spoolParent, `pb-spool-${id}`);
}

/**
 * The job's folder, made when it is not there. Nothing in it is synced, as it is sent on without being compared with its source again: what was
 * written before this machine was last started may never have come to the disk, and goes.
 *
 * @throws PbError `permission_denied` where somebody else has made it
 */
export async function openSpool(deps: Deps, id: string): Promise<Spool> {
  const folder = folderOf(deps, id);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = await lstat(folder);
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0) {
    throw new PbError("permission_denied", `${folder} is not this user's alone`, {
      path: folder,
      hint: "set TMPDIR to a folder of your own",
    });
  }
  const boot = bootId();
  const before = await readFile(join(folder, BOOT), "utf8").catch(() => undefined);
  if (before !== boot) {
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
    await writeFile(join(folder, BOOT), boot);
  }
  return {
    folder: pathText(Buffer.from(folder)),
    openCheckpoint: (source) =>
      deps.checkpoints.open({
        directory: join(folder, `kept-${source}`),
        binding: { job: id, destination: `spool ${source}` },
      }),
  };
}

/** Nobody goes on with the job. */
export async function removeSpool(deps: Pick<Deps, "spoolParent">, id: string): Promise<void> {
  await rm(folderOf(deps, id), { recursive: true, force: true });
}
