import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { resolveTargets } from "../plan/targets.ts";
import type { Endpoint, ResolvedRequest, ResolvedSource, Seen, TransferRequest } from "./request.ts";

/**
 * Looks at both ends before anything is opened.
 *
 * @throws PbError `not_found` for a source that is not there, `read_only` for a destination that may not be changed,
 *   and what `resolveTargets` throws
 */
export async function resolveRequest(
  request: TransferRequest,
  signal: AbortSignal,
): Promise<ResolvedRequest> {
  demandWritable(request);
  if (request.sources.some(({ fd }) => fd !== undefined)) return resolvePipe(request, signal);
  const existing = await statDestination(request.destination, signal);
  const { resolved, targets } = await resolveSources(request, { existing, signal });
  if (request.destination.fd !== undefined) demandOneFile(resolved);
  // What a run before this one has made was not there when it was asked for.
  const intoExisting = request.intoExisting ?? existing?.kind === "directory";
  return { ...request, resolved, targets, intoExisting };
}

/**
 * What the sources are, and where each goes, given what the destination is.
 *
 * @throws PbError `not_found` for a source that is not there, and what `resolveTargets` throws
 */
export async function resolveSources(
  request: Pick<TransferRequest, "sources" | "options" | "several"> & {
    readonly destination: Pick<Endpoint, "path" | "label">;
  },
  { existing, signal }: { readonly existing: Entry | undefined; readonly signal: AbortSignal },
): Promise<Pick<ResolvedRequest, "resolved" | "targets">> {
  const { follow } = request.options;
  const seen: Seen[] = [];
  for (const source of request.sources)
    seen.push({ entry: await statSource(source, { follow, signal }), atMs: performance.now() });
  const kindAt = (at: number) => seen[at]?.entry.kind ?? "other";
  const targets = resolveTargets({
    sources: request.sources.map(({ label, path, name = path }, at) => ({
      path: name,
      label,
      kind: kindAt(at),
    })),
    destination: shape(request.destination, existing),
    several: request.several,
  });
  const resolved = request.sources.map((endpoint, at) => ({
    endpoint,
    kind: kindAt(at),
    ...(seen[at] && kindAt(at) !== "directory" && { seen: seen[at] }),
    prefix: targets.prefixes[at] ?? "",
  }));
  return { resolved, targets };
}

function shape(destination: Pick<Endpoint, "path" | "label">, existing: Entry | undefined) {
  const { path, label } = destination;
  return { path, label, ...(existing ? { kind: existing.kind } : {}) };
}

function demandWritable({ destination, sources, move, dryRun }: TransferRequest): void {
  if (dryRun) return;
  const closed = [...(destination.fd === undefined ? [destination] : []), ...(move ? sources : [])].find(
    ({ backend }) => !backend.capabilities.writable,
  );
  if (!closed) return;
  throw new PbError("read_only", `${closed.label}: nothing may be changed there with this access`, {
    path: closed.path,
    peer: closed.backend.name,
  });
}

async function statSource(
  source: Endpoint,
  options: { readonly follow: boolean; readonly signal: AbortSignal },
): Promise<Entry> {
  try {
    return await source.backend.stat(source.path, options);
  } catch (cause) {
    const error = PbError.from(cause);
    if (error.code !== "not_found") throw error;
    throw new PbError("not_found", `${source.label} is not there`, {
      path: source.path,
      ...(source.backend.name === "" ? {} : { peer: source.backend.name }),
      cause,
    });
  }
}

/** Through links: a link to a folder is a folder to put things into. */
async function statDestination(destination: Endpoint, signal: AbortSignal): Promise<Entry | undefined> {
  if (destination.fd !== undefined) return undefined;
  try {
    return await destination.backend.stat(destination.path, { follow: true, signal });
  } catch (cause) {
    const error = PbError.from(cause);
    if (error.code === "not_found") return undefined;
    throw error;
  }
}

function demandOneFile(resolved: readonly ResolvedSource[]): void {
  const [first] = resolved;
  if (resolved.length === 1 && first?.kind === "file") return;
  const label = resolved.length === 1 ? (first?.endpoint.label ?? "") : "several sources";
  throw new PbError("invalid_argument", `${label}: only one file can be written to standard output`, {
    hint: "name one file, or a destination",
  });
}

async function resolvePipe(request: TransferRequest, signal: AbortSignal): Promise<ResolvedRequest> {
  const { destination, sources } = request;
  const [source] = sources;
  if (sources.length !== 1 || source === undefined) {
    throw new PbError("invalid_argument", "standard input can only be transferred alone");
  }
  const existing = await statDestination(destination, signal);
  if (existing?.kind === "directory") {
    throw new PbError("is_a_directory", `${destination.label} is a folder`, {
      path: destination.path,
      hint: "name the file that standard input is to become",
    });
  }
  return {
    ...request,
    move: false,
    resolved: [{ endpoint: source, kind: "file", prefix: "" }],
    targets: { base: destination.path, exactName: true, prefixes: [""] },
    intoExisting: false,
  };
}
