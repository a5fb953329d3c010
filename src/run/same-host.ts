import type { Backend } from "../backend/backend.ts";
import type { ResolvedRequest } from "./request.ts";

/** Descriptors of this process, or one peer, or one endpoint: then a single session or none does. */
export function isOnePlace(a: Backend, b: Backend): boolean {
  if (a.native.kind === "session" && b.native.kind === "session") return a.native.peer === b.native.peer;
  return a.native.kind === "chunks" ? a === b : a.native.kind === b.native.kind;
}

/**
 * Do device and inode numbers mean the same at both ends? A server may run on this very machine, or two on one, and serve
 * the folder that is the other end.
 */
export async function isWithinHost(
  { sources, destination }: Pick<ResolvedRequest, "sources" | "destination">,
  { hostId, signal }: { readonly hostId: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const [first] = sources;
  if (first === undefined || first.fd !== undefined || destination.fd !== undefined) return false;
  // Endpoints without an engine tell no inodes that mean anything to others.
  if ([first.backend, destination.backend].some(({ native }) => native.kind === "chunks")) return false;
  if (isOnePlace(first.backend, destination.backend)) return true;
  const idOf = async ({ native }: Backend) => {
    if (native.kind === "session") return native.peer.hostId(signal);
    return native.kind === "root" ? hostId : "";
  };
  const [one, two] = await Promise.all([idOf(first.backend), idOf(destination.backend)]);
  return one !== "" && one === two;
}
