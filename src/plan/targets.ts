import type { EntryKind } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { baseName } from "../model/path.ts";

export interface SourceShape {
  /** `PathText` at its backend, resolved: no "." or "..". */
  readonly path: string;
  /** What is there (the link itself unless links are followed). */
  readonly kind: EntryKind;
  /** As the user wrote it, for errors. */
  readonly label: string;
}

export interface DestinationShape {
  readonly path: string;
  /** What is there, through links; absent: nothing. */
  readonly kind?: EntryKind;
  readonly label: string;
}

/** Where everything goes: below `base`, or to `base` itself where `exactName`. */
export interface Targets {
  readonly base: string;
  /** `base` is the name of the one file or link. */
  readonly exactName: boolean;
  /** For each source what its paths are put behind, relative to `base`; "": its contents go right into `base`. */
  readonly prefixes: readonly string[];
}

/**
 * A folder's contents go inside the destination. One file goes into an existing folder under its name, else the destination
 * is its new name. Several sources, also a glob that matched one, each go below the destination under their own name.
 * Missing parents are made by the receiver. Names are compared as bytes: names that differ in case or Unicode
 * form are different names and never merged.
 *
 * @throws PbError `invalid_argument` when two sources would become one target (naming both) or one has no name;
 *   `not_a_directory` when a folder is to go into a file
 */
export function resolveTargets(options: {
  readonly sources: readonly SourceShape[];
  readonly destination: DestinationShape;
  readonly several: boolean;
}): Targets {
  const { sources, destination } = options;
  const [first] = sources;
  if (first === undefined) throw new PbError("invalid_argument", "a transfer needs a source");
  if (options.several || sources.length > 1) return underOwnNames(sources, destination);
  if (first.kind === "directory") {
    demandFolder(destination, first);
    return { base: destination.path, exactName: false, prefixes: [""] };
  }
  if (destination.kind === "directory") {
    return { base: destination.path, exactName: false, prefixes: [nameOf(first)] };
  }
  return { base: destination.path, exactName: true, prefixes: [""] };
}

function underOwnNames(sources: readonly SourceShape[], destination: DestinationShape): Targets {
  const taken = new Map<string, SourceShape>();
  for (const source of sources) {
    demandFolder(destination, source);
    const name = nameOf(source);
    const other = taken.get(name);
    if (other !== undefined) {
      throw new PbError(
        "invalid_argument",
        `${other.label} and ${source.label} would both become ${name} in ${destination.label}`,
        { path: source.path, hint: "transfer them one by one to different destinations" },
      );
    }
    taken.set(name, source);
  }
  return { base: destination.path, exactName: false, prefixes: [...taken.keys()] };
}

function demandFolder(destination: DestinationShape, source: SourceShape): void {
  if (destination.kind === undefined || destination.kind === "directory") return;
  throw new PbError(
    "not_a_directory",
    `${destination.label} is not a folder, so ${source.label} cannot go into it`,
    { path: destination.path },
  );
}

function nameOf(source: SourceShape): string {
  const name = baseName(source.path);
  if (name !== "" && name !== "." && name !== "..") return name;
  throw new PbError("invalid_argument", `${source.label} has no name of its own to arrive under`, {
    path: source.path,
    hint: "name the folder that is to be transferred, or transfer it as the only source",
  });
}
