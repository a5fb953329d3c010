/** A move that goes on finds sources gone that it has moved before. */

import { PbError } from "../model/error.ts";
import { baseName, joinPath } from "../model/path.ts";
import { entryAt } from "./destination.ts";
import type { Endpoint, ResolvedRequest, TransferRequest } from "./request.ts";

/**
 * The sources without those that have arrived and were removed. One that is gone and not at the destination either stays among
 * them, so that it is told as not found.
 */
export async function notMovedYet(
  request: TransferRequest,
  signal: AbortSignal,
): Promise<readonly Endpoint[]> {
  if (!request.move) return request.sources;
  const left: Endpoint[] = [];
  for (const source of request.sources) {
    if ((await isThere(source, signal)) || !(await hasArrived(request, source, signal))) left.push(source);
  }
  return left;
}

/** The same for a request whose ends were looked at. */
export async function withoutMoved(request: ResolvedRequest, signal: AbortSignal): Promise<ResolvedRequest> {
  const left = new Set(await notMovedYet(request, signal));
  if (left.size === request.sources.length) return request;
  const isLeft = (_: unknown, at: number) => left.has(request.sources[at] as Endpoint);
  const prefixes = request.targets.prefixes.filter(isLeft);
  return {
    ...request,
    sources: request.sources.filter(isLeft),
    resolved: request.resolved.filter(isLeft),
    targets: { ...request.targets, prefixes },
  };
}

async function isThere({ backend, path }: Endpoint, signal: AbortSignal): Promise<boolean> {
  try {
    await backend.stat(path, { follow: false, signal });
    return true;
  } catch (cause) {
    const error = PbError.from(cause);
    if (error.code === "not_found") return false;
    throw error;
  }
}

async function hasArrived(
  { destination, several }: TransferRequest,
  { path, name = path }: Endpoint,
  signal: AbortSignal,
): Promise<boolean> {
  const { backend } = destination;
  const inside = await entryAt(backend, joinPath(destination.path, baseName(name)), signal);
  if (inside || several) return inside !== undefined;
  return (await entryAt(backend, destination.path, signal)) !== undefined;
}
