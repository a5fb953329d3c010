import type { Backend } from "../backend/backend.ts";
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { dirName, joinPath } from "../model/path.ts";
import type { ResolvedRequest, ResolvedSource } from "./request.ts";

/** What identifies a thing within a host. */
type Identified = Pick<Entry, "device" | "inode">;

export function isSameThing(a: Identified, b: Identified): boolean {
  return a.inode !== undefined && a.inode === b.inode && a.device === b.device;
}

/** Where a path of the source arrives. */
function targetOf(request: ResolvedRequest, source: ResolvedSource, path: string): string {
  return joinPath(joinPath(request.targets.base, source.prefix), path);
}

/**
 * Refuses a copy of a thing onto itself, and of a folder into itself, by device and inode: names tell nothing, links and mounts
 * lead anywhere. For ends whose identities are of one host.
 *
 * @throws PbError `same_file`
 */
export async function refuseSameThing(request: ResolvedRequest, signal: AbortSignal): Promise<void> {
  const { destination } = request;
  for (const source of request.resolved) {
    const { backend, path, label } = source.endpoint;
    const here = await backend.stat(path, { follow: source.kind === "directory", signal });
    const target = targetOf(request, source, "");
    const options = { follow: source.kind !== "symlink", signal };
    const there = await statIfThere(destination.backend, target, options);
    if (there && isSameThing(here, there)) {
      throw new PbError("same_file", `${label} and ${destination.label} are the same`, { path });
    }
    if (source.kind === "directory") await refuseInside(request, { source, here, target, signal });
  }
}

async function refuseInside(
  { destination }: ResolvedRequest,
  found: { source: ResolvedSource; here: Entry; target: string; signal: AbortSignal },
): Promise<void> {
  const { source, here, target, signal } = found;
  for (let at = dirName(target); at !== "" && at !== "/"; at = dirName(at)) {
    const above = await statIfThere(destination.backend, at, { follow: true, signal });
    if (above && isSameThing(here, above)) throw insideError(source, destination.label);
  }
}

function insideError(source: ResolvedSource, destination: string): PbError {
  return new PbError("same_file", `${destination} is inside ${source.endpoint.label}`, {
    path: source.endpoint.path,
    hint: "choose a destination outside of what is copied",
  });
}

async function statIfThere(
  backend: Backend,
  path: string,
  options: { readonly follow: boolean; readonly signal: AbortSignal },
): Promise<Entry | undefined> {
  try {
    return await backend.stat(path, options);
  } catch (cause) {
    const error = PbError.from(cause);
    if (error.code === "not_found" || error.code === "not_a_directory") return undefined;
    throw error;
  }
}

/** Looks at each folder of a source before its content is pushed. */
export interface FolderGuard {
  /**
   * False when the folder is, through a link or mount, its own target: it is left out, so that a move does not remove the only copy.
   *
   * @throws PbError `same_file` when the folder holds the destination
   */
  allows(source: ResolvedSource, folder: Entry): Promise<boolean>;
}

/** For ends whose identities are of one host, and a destination that was there before (else it cannot be the source's). */
export async function folderGuard(request: ResolvedRequest, signal: AbortSignal): Promise<FolderGuard> {
  const { backend, label } = request.destination;
  const nearest = await nearestFolder(backend, request.targets.base, signal);
  return {
    async allows(source, folder) {
      const inside = nearest !== undefined && folder.path !== "" && isSameThing(folder, nearest);
      if (inside) throw insideError(source, label);
      if (!request.intoExisting) return true;
      const target = targetOf(request, source, folder.path);
      const there = await statIfThere(backend, target, { follow: true, signal });
      return there === undefined || !isSameThing(folder, there);
    },
  };
}

/** The destination, or of the folders above it the first that is there. */
async function nearestFolder(
  backend: Backend,
  base: string,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  for (let at = base; at !== "" && at !== "/"; at = dirName(at)) {
    const found = await statIfThere(backend, at, { follow: true, signal });
    if (found) return found;
  }
  return undefined;
}
