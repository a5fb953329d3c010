import type { Entry } from "../model/entry.ts";
import type { TransferOptions } from "../model/transfer.ts";
import { compileGlob, type Glob } from "./glob.ts";

export type FilterOptions = Pick<
  TransferOptions,
  "filters" | "minSize" | "maxSize" | "minAgeSeconds" | "maxAgeSeconds"
>;

/**
 * The ordered include/exclude list (semantics of rclone). A rule that matches a folder holds for everything below it, as
 * if it had been written `folder/**` too. For a file the first rule that matches it, or a folder above it, decides;
 * nothing matched: included. So `+ *.md, - *` keeps the Markdown files of every folder, and `- node_modules` drops
 * such folders whole, whatever comes later in the list.
 *
 * An excluded folder is not read, unless an include that stands before the exclude could match below it; it is then made at the
 * destination only if something in it is included. Size and age bounds concern files.
 */
export interface Filter {
  /** No rule and no bound: whatever is listed is included. */
  readonly keepsAll: boolean;
  /** May folders be left out, so that it pays to list folder by folder? */
  readonly prunes: boolean;
  /** The rule (index) that decides for `path`, given the one that decided for its folder; `NO_RULE` when none does. */
  rule(path: string, options: { readonly isDirectory: boolean; readonly parentRule: number }): number;
  includes(rule: number): boolean;
  /** With `rule` deciding for this folder: can something below it be included? */
  mayHoldIncluded(directory: string, rule: number): boolean;
  /** Size and age. */
  withinBounds(entry: Pick<Entry, "kind" | "size" | "mtimeNs">): boolean;
}

export const NO_RULE = Number.POSITIVE_INFINITY;

const NS_PER_SECOND = 1_000_000_000n;

/** @throws PbError `invalid_argument` for a pattern that is not a glob */
export function compileFilter(options: FilterOptions, nowNs: bigint): Filter {
  const rules = options.filters.map(({ include, pattern }) => ({ include, glob: compileGlob(pattern) }));
  const includes = (rule: number) => rules[rule]?.include ?? true;
  return {
    keepsAll: rules.length === 0 && !isBounded(options),
    prunes: rules.some((rule) => !rule.include),
    rule: (path, { isDirectory, parentRule }) => firstMatch(rules, { path, isDirectory, before: parentRule }),
    includes,
    mayHoldIncluded: (directory, rule) =>
      includes(rule) ||
      rules.some(({ include, glob }, at) => at < rule && include && glob.couldMatchBelow(directory)),
    withinBounds: bounds(options, nowNs),
  };
}

function firstMatch(
  rules: readonly { readonly glob: Glob }[],
  { path, isDirectory, before }: { path: string; isDirectory: boolean; before: number },
): number {
  const end = Math.min(rules.length, before);
  for (let at = 0; at < end; at += 1) {
    if (rules[at]?.glob.matches(path, isDirectory)) return at;
  }
  return before;
}

function isBounded({ minSize = 0, maxSize, minAgeSeconds, maxAgeSeconds }: FilterOptions): boolean {
  return minSize > 0 || [maxSize, minAgeSeconds, maxAgeSeconds].some((bound) => bound !== undefined);
}

function bounds(options: FilterOptions, nowNs: bigint): Filter["withinBounds"] {
  const { minSize = 0, maxSize = Number.POSITIVE_INFINITY } = options;
  const newest = options.minAgeSeconds === undefined ? undefined : nowNs - ageNs(options.minAgeSeconds);
  const oldest = options.maxAgeSeconds === undefined ? undefined : nowNs - ageNs(options.maxAgeSeconds);
  return ({ kind, size, mtimeNs }) =>
    kind !== "file" ||
    (size >= minSize &&
      size <= maxSize &&
      (newest === undefined || mtimeNs <= newest) &&
      (oldest === undefined || mtimeNs >= oldest));
}

function ageNs(seconds: number): bigint {
  return BigInt(Math.round(seconds)) * NS_PER_SECOND;
}
