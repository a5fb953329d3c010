import picomatch from "picomatch";
import { PbError } from "../../model/error.ts";
import { displayPath, pathText } from "../../model/path.ts";
import type { Files } from "../context.ts";
import { toPbError } from "../rpc-error.ts";
import { formatPlace, type Place, protoLocation, within } from "./place.ts";

export interface Expanded {
  readonly places: readonly Place[];
  /** A glob was among the words: each match arrives under its own name, even a single one. */
  readonly globbed: boolean;
}

interface Expansion {
  readonly files: Files;
  readonly signal: AbortSignal;
}

/**
 * Words with globs replaced by what they match (sorted, as the listing is). A word that names an existing thing is that thing,
 * whatever characters it has. Stars do not match a leading dot.
 *
 * @throws PbError `not_found` for a glob that matches nothing
 */
export async function expandGlobs(places: readonly Place[], how: Expansion): Promise<Expanded> {
  const out: Place[] = [];
  let globbed = false;
  for (const place of places) {
    if (!picomatch.scan(place.path).isGlob || (await exists(place, how))) {
      out.push(place);
      continue;
    }
    globbed = true;
    const matches = await expandOne(place, how);
    if (matches.length === 0) {
      throw new PbError("not_found", `nothing matches ${displayPath(formatPlace(place))}`, {
        path: place.path,
      });
    }
    out.push(...matches);
  }
  return { places: out, globbed };
}

async function exists(place: Place, { files, signal }: Expansion): Promise<boolean> {
  try {
    await files.stat({ location: protoLocation(place) }, { signal });
    return true;
  } catch (error) {
    const { code } = toPbError(error);
    if (code === "not_found" || code === "not_a_directory" || code === "invalid_path") return false;
    throw error;
  }
}

/** The folder above the first component with a glob, and the pattern below it. */
export function splitGlob(path: string): { readonly base: string; readonly pattern: string } {
  const parts = path.split("/");
  const first = parts.findIndex((part) => picomatch.scan(part).isGlob);
  return { base: parts.slice(0, first).join("/") || "/", pattern: parts.slice(first).join("/") };
}

async function expandOne(place: Place, { files, signal }: Expansion): Promise<Place[]> {
  const { base, pattern } = splitGlob(place.path);
  const isMatch = picomatch(pattern);
  const depth = pattern.includes("**") ? 0 : pattern.split("/").length;
  const top: Place = { remote: place.remote, path: base };
  const listing = files.list(
    { location: protoLocation(top), recursive: depth !== 1, maxDepth: depth, namesOnly: true },
    { signal },
  );
  const found: Place[] = [];
  let covering = "\0";
  for await (const { entries } of listing) {
    for (const entry of entries) {
      const path = pathText(entry.path);
      // A folder's content comes after it and moves with it.
      if (path.startsWith(`${covering}/`) || !isMatch(path)) continue;
      covering = path;
      found.push(within(top, path));
    }
  }
  return found;
}
