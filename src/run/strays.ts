/** Temporary names that a killed receiver has left and no checkpoint knows: files that were small, or had just begun. */

import type { Backend } from "../backend/backend.ts";
import { type ErrorCode, PbError } from "../model/error.ts";
import { baseName, dirName, joinPath } from "../model/path.ts";
import type { Target } from "./target.ts";

/** The random bits at the start of a job's UUID; see ReceiveCheckpoint.nameTag. */
export function nameTag(jobId: string): number {
  return Number.parseInt(jobId.slice(0, 8), 16);
}

/** Is a name one that a receiver of the job gives: the engine's, or that of an endpoint (backend/part-name.ts)? */
function strayOf(tag: number): (name: string) => boolean {
  const engine = `.pb-${tag.toString(16)}-`;
  const endpoint = `.pb-${tag.toString(16).padStart(8, "0")}`;
  const pattern = /^[0-9a-f]{8}\.part$/;
  return (name) =>
    (name.startsWith(engine) && name.endsWith(".part")) ||
    (name.startsWith(endpoint) && pattern.test(name.slice(endpoint.length)));
}

/** A folder that is not there has nothing in it; in one that nobody may list, or that has no index, nothing can be found, however often it is tried. */
const NOT_TO_BE_SEEN: ReadonlySet<ErrorCode> = new Set(["not_found", "permission_denied", "unsupported"]);

export interface RemoveStrays {
  readonly backend: Backend;
  readonly target: Target;
  readonly jobId: string;
  readonly signal: AbortSignal;
}

/** As `removeStrays`; what can't be looked at or removed is left. @throws PbError `aborted` */
export async function tryRemoveStrays(options: RemoveStrays): Promise<void> {
  try {
    await removeStrays(options);
  } catch (cause) {
    const error = PbError.from(cause);
    if (error.code === "aborted") throw error;
  }
}

/** Removes whatever has a temporary name of this job, which must be over. @throws PbError of what could not be looked at or removed */
export async function removeStrays({ backend, target, jobId, signal }: RemoveStrays): Promise<void> {
  const { native } = backend;
  // What is begun there has no name.
  if (native.kind === "chunks" && native.chunks.removeBegun) return;
  const isOurs = strayOf(nameTag(jobId));
  const top = target.exactName ? dirName(target.path) : target.path;
  const listing = backend.list(top, { recursive: !target.exactName, follow: false, signal });
  /** Folders have the times that they are to have by now. */
  const times = new Map<string, bigint>();
  let failure: PbError | undefined;
  try {
    for await (const { entries } of listing) {
      for (const { path, kind } of entries) {
        const name = baseName(path);
        if (kind === "directory" || !isOurs(name)) continue;
        const folder = joinPath(top, dirName(path));
        if (!times.has(folder)) {
          times.set(folder, (await backend.stat(folder, { follow: false, signal })).mtimeNs);
        }
        await backend.remove(joinPath(top, path), { recursive: false, signal }).catch((cause: unknown) => {
          const error = PbError.from(cause);
          if (error.code !== "not_found") failure ??= error;
        });
      }
    }
    for (const [folder, mtimeNs] of times) {
      await backend.touch(folder, { mtimeNs, create: false, signal }).catch(() => undefined);
    }
  } catch (cause) {
    const error = PbError.from(cause);
    if (!NOT_TO_BE_SEEN.has(error.code)) throw error;
  }
  if (failure) throw failure;
}
