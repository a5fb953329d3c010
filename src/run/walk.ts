import type { Backend, ListBatch } from "../backend/backend.ts";
import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { baseName, dirName, joinPath } from "../model/path.ts";
import type { Filter } from "../plan/filter.ts";
import { coverOf, parentsOf } from "../plan/order.ts";
import { type Selector, selector } from "../plan/select.ts";
import type { Seen } from "./request.ts";

export interface WalkOptions {
  readonly backend: Backend;
  /** `PathText` of the source at its backend. */
  readonly path: string;
  readonly filter: Filter;
  readonly filesFrom: readonly string[];
  readonly follow: boolean;
  /** As `ListOptions` has it. */
  readonly listedTimesUpTo?: number;
  /** Give a source folder itself too, as "", before its content. */
  readonly withTop: boolean;
  /** What a source that is no folder was when somebody looked at it: a moment later it is not looked at again. */
  readonly seen?: Seen | undefined;
  readonly signal: AbortSignal;
  /** A folder or a named path that could not be read; the walk goes on. */
  readonly onError: (error: PbError) => void;
}

/**
 * What of a source is to be transferred, in batches: paths relative to the source, "" for a source that is no folder. A folder
 * comes before its content. Memory is bounded by the depth and the largest folder.
 *
 * @throws PbError `not_found` when the source is not there
 */
export async function* walkSource(options: WalkOptions, kind: Entry["kind"]): AsyncGenerator<Entry[]> {
  const { backend, path, signal } = options;
  const isFolder = kind === "directory";
  if (!isFolder || options.withTop) {
    const looked = fresh(options.seen) ?? (await backend.stat(path, { follow: options.follow, signal }));
    const entry = { ...looked, path: "" };
    if (isFolder) yield [entry];
    else if (keepsFile(options.filter, { ...entry, path: baseName(path) })) yield [entry];
  }
  if (!isFolder) return;
  if (options.filesFrom.length > 0) yield* walkNamed(options);
  else yield* walkFolder(options, { folder: "", chosen: selector(options.filter) });
}

/** Between looking at the ends and listing are the round trips of a session. */
const FRESH_MS = 2_000;

function fresh(seen: Seen | undefined): Entry | undefined {
  return seen && performance.now() - seen.atMs < FRESH_MS ? seen.entry : undefined;
}

function keepsFile(filter: Filter, entry: Entry): boolean {
  return selector(filter).visit(entry).length > 0;
}

interface Place {
  /** Relative to the source. */
  readonly folder: string;
  readonly chosen: Selector;
}

/** Folder by folder where the filter leaves folders out; else as one listing, which costs a remote one call. */
async function* walkFolder(options: WalkOptions, place: Place): AsyncGenerator<Entry[]> {
  if (options.filter.prunes) return yield* walkPruned(options, place, []);
  const listing = list(options, place, true);
  for await (const { entries, errors } of listing) {
    for (const error of errors) options.onError(error);
    const batch = entries.flatMap((entry) => place.chosen.visit(below(place.folder, entry)));
    if (batch.length > 0) yield batch;
  }
}

function list(
  { backend, path, follow, listedTimesUpTo, signal }: WalkOptions,
  { folder }: Place,
  recursive: boolean,
): AsyncIterable<ListBatch> {
  const times = listedTimesUpTo === undefined ? {} : { listedTimesUpTo };
  return backend.list(joinPath(path, folder), { recursive, follow, ...times, signal });
}

function below(folder: string, entry: Entry): Entry {
  return folder === "" ? entry : { ...entry, path: joinPath(folder, entry.path) };
}

async function* walkPruned(
  options: WalkOptions,
  place: Place,
  above: readonly Entry[],
): AsyncGenerator<Entry[]> {
  const listing = list(options, place, false);
  for await (const { entries, errors } of listing) {
    for (const error of errors) options.onError(error);
    let batch: Entry[] = [];
    for (const listed of entries) {
      const entry = below(place.folder, listed);
      batch.push(...place.chosen.visit(entry));
      if (entry.kind !== "directory" || !place.chosen.descend(entry)) continue;
      if (batch.length > 0) yield batch;
      batch = [];
      yield* descend(options, { place: { ...place, folder: entry.path }, above, entry });
    }
    if (batch.length > 0) yield batch;
  }
}

async function* descend(
  options: WalkOptions,
  { place, above, entry }: { place: Place; above: readonly Entry[]; entry: Entry },
): AsyncGenerator<Entry[]> {
  if (above.some((folder) => isSame(folder, entry))) {
    const message = `${joinPath(options.path, entry.path)} leads back to a folder above it`;
    options.onError(new PbError("io_error", message, { path: joinPath(options.path, entry.path) }));
    return;
  }
  try {
    yield* walkPruned(options, place, [...above, entry]);
  } catch (cause) {
    const error = PbError.from(cause, "io_error", { path: joinPath(options.path, entry.path) });
    if (error.code === "aborted") throw error;
    options.onError(error);
  }
}

/** Links that are followed may lead in a circle. */
function isSame(a: Entry, b: Entry): boolean {
  return a.inode !== undefined && a.inode === b.inode && a.device === b.device;
}

/** Only the paths of `filesFrom`, each with the folders above it, and with what is below it where it is a folder. */
async function* walkNamed(options: WalkOptions): AsyncGenerator<Entry[]> {
  const { backend, path, follow, signal } = options;
  const chosen = selector(options.filter);
  const stat = async (at: string): Promise<Entry> => ({
    ...(await backend.stat(joinPath(path, at), { follow, signal })),
    path: at,
  });
  const visited = new Set<string>();
  for (const named of coverOf(options.filesFrom)) {
    try {
      demandBelow(named);
      const batch: Entry[] = [];
      for (const at of [...parentsOf(named), named].filter((each) => !visited.has(each))) {
        const entry = await stat(at);
        if (entry.kind === "directory") visited.add(at);
        batch.push(...chosen.visit(entry));
      }
      if (batch.length > 0) yield batch;
      if (visited.has(named)) yield* walkFolder(options, { folder: named, chosen });
    } catch (cause) {
      const error = PbError.from(cause, "io_error", { path: joinPath(path, named) });
      if (error.code === "aborted") throw error;
      options.onError(error);
    }
    forgetOthers(visited, named);
  }
}

/** @throws PbError `path_escapes` for a path that would lead out of the source, `invalid_path` for one that is none */
function demandBelow(named: string): void {
  const names = named.split("/");
  if (names.includes(".."))
    throw new PbError("path_escapes", `${named} leads out of the source`, { path: named });
  if (!names.includes("") && !names.includes(".")) return;
  throw new PbError("invalid_path", `"${named}" in the list of files is not a path below the source`, {
    path: named,
  });
}

/** Paths come in listing order: only the folders above the last one can be needed again. */
function forgetOthers(visited: Set<string>, named: string): void {
  const needed = new Set([dirName(named), ...parentsOf(named)]);
  for (const at of visited) if (!needed.has(at)) visited.delete(at);
}
