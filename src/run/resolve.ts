import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { resolveTargets } from "../plan/targets.ts";
import type { Endpoint, ResolvedRequest, ResolvedSource, TransferRequest } from "./request.ts";

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
  const { follow } = request.options;
  const found: Entry[] = [];
  for (const source of request.sources) found.push(await statSource(source, { follow, signal }));
  const kinds = found.map(({ kind }) => kind);
  const existing = await statDestination(request.destination, signal);
  const targets = resolveTargets({
    sources: request.sources.map(({ path, label }, at) => ({ path, label, kind: kinds[at] ?? "other" })),
    destination: shape(request.destination, existing),
    several: request.several,
  });
  if (request.destination.fd !== undefined) demandOneFile(request, kinds);
  const resolved = request.sources.map(
    (endpoint, at): ResolvedSource => ({
      endpoint,
      kind: kinds[at] ?? "other",
      prefix: targets.prefixes[at] ?? "",
    }),
  );
  return { ...request, resolved, targets, intoExisting: existing?.kind === "directory" };
}

function shape(destination: Endpoint, existing: Entry | undefined) {
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

function demandOneFile({ sources }: TransferRequest, kinds: readonly Entry["kind"][]): void {
  const [first] = sources;
  if (sources.length === 1 && kinds[0] === "file") return;
  const label = sources.length === 1 ? (first?.label ?? "") : "several sources";
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
