import type { Entry } from "../model/entry.ts";
import { type Filter, NO_RULE } from "./filter.ts";
import { isBelow } from "./order.ts";

interface OpenFolder {
  readonly entry: Entry;
  readonly rule: number;
  /** Already given out, or never to be (the folder above was given by the caller). */
  emitted: boolean;
}

/** Applies a filter to a listing, entry by entry, folders before their content. */
export interface Selector {
  /**
   * What of the listing is to be transferred now: nothing, the entry, or the entry behind folders that are excluded
   * themselves but hold it.
   */
  visit(entry: Entry): readonly Entry[];
  /** Is this folder, the last one visited, to be listed at all? */
  descend(entry: Entry): boolean;
}

export function selector(filter: Filter): Selector {
  if (filter.keepsAll) return { visit: (entry) => [entry], descend: ({ kind }) => kind === "directory" };
  const open: OpenFolder[] = [];
  const parentRule = () => open.at(-1)?.rule ?? NO_RULE;
  return {
    visit(entry) {
      while (open.length > 0 && !isBelow(entry.path, open.at(-1)?.entry.path ?? "")) open.pop();
      const isDirectory = entry.kind === "directory";
      const rule = filter.rule(entry.path, { isDirectory, parentRule: parentRule() });
      const wanted = filter.includes(rule) && filter.withinBounds(entry);
      const parents = wanted ? pending(open) : [];
      if (isDirectory) open.push({ entry, rule, emitted: wanted });
      return wanted ? [...parents, entry] : [];
    },
    descend(entry) {
      const folder = open.at(-1);
      return folder?.entry.path === entry.path && filter.mayHoldIncluded(entry.path, folder.rule);
    },
  };
}

function pending(open: readonly OpenFolder[]): Entry[] {
  const missing = open.filter((folder) => !folder.emitted);
  for (const folder of missing) folder.emitted = true;
  return missing.map((folder) => folder.entry);
}
