import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry, EntryKind } from "../model/entry.ts";
import type { FilterRule } from "../model/transfer.ts";
import { compileFilter, type FilterOptions } from "./filter.ts";
import { compileGlob } from "./glob.ts";
import { compareListed, parentsOf } from "./order.ts";
import { selector } from "./select.ts";

const NOW_NS = 1_000_000_000_000n;

const entry = (path: string, kind: EntryKind = "file", values: Partial<Entry> = {}): Entry => ({
  path,
  kind,
  size: 1,
  mtimeNs: 0n,
  mode: 0o644,
  uid: 0,
  gid: 0,
  ...values,
});

/** A whole tree from the paths of its files, in listing order. */
function tree(files: readonly string[]): Entry[] {
  const folders = new Set(files.flatMap(parentsOf));
  const all = [...new Set([...folders, ...files])].sort(compareListed);
  return all.map((path) => entry(path, folders.has(path) ? "directory" : "file"));
}

/** Walks as run/ does: a folder that is not descended into is not listed. */
function selected(entries: readonly Entry[], options: FilterOptions): { out: string[]; listed: string[] } {
  const chosen = selector(compileFilter(options, NOW_NS));
  const out: string[] = [];
  const listed: string[] = [];
  let hidden = "";
  for (const each of entries) {
    if (hidden !== "" && each.path.startsWith(`${hidden}/`)) continue;
    listed.push(each.path);
    out.push(...chosen.visit(each).map((given) => given.path));
    if (each.kind === "directory" && !chosen.descend(each)) hidden = each.path;
  }
  return { out, listed };
}

const rules = (...texts: string[]): FilterRule[] =>
  texts.map((text) => ({ include: text.startsWith("+"), pattern: text.slice(2) }));

const REPO = tree([
  "a.md",
  "b.js",
  "docs/c.md",
  "docs/deep/d.md",
  "node_modules/m/e.md",
  "src/.x/f.js",
  "src/g.js",
]);
const files = (out: readonly string[]) => out.filter((path) => /\.(md|js)$/.test(path));

describe("filter", () => {
  it.each([
    [{}, true],
    [{ minSize: 0 }, true],
    [{ minSize: 1 }, false],
    [{ maxSize: 0 }, false],
    [{ minAgeSeconds: 0 }, false],
    [{ maxAgeSeconds: 1 }, false],
    [{ filters: rules("+ *") }, false],
  ])("%j keeps all: %j", (given, keepsAll) => {
    const options = { filters: [], ...given };
    expect(compileFilter(options, NOW_NS).keepsAll).toBe(keepsAll);
    if (keepsAll) expect(selected(REPO, options).out).toEqual(REPO.map(({ path }) => path));
  });

  it.each([
    [
      rules(),
      ["a.md", "b.js", "docs/c.md", "docs/deep/d.md", "node_modules/m/e.md", "src/.x/f.js", "src/g.js"],
    ],
    [rules("- node_modules", "+ *.md", "- *"), ["a.md", "docs/c.md", "docs/deep/d.md"]],
    [rules("+ *.md", "- *"), ["a.md", "docs/c.md", "docs/deep/d.md", "node_modules/m/e.md"]],
    [rules("+ docs", "- *"), ["docs/c.md", "docs/deep/d.md"]],
    [rules("+ /docs/*", "- *"), ["docs/c.md", "docs/deep/d.md"]],
    [rules("+ /docs/*.md", "- *"), ["docs/c.md"]],
    [rules("- docs/**/*.md"), ["a.md", "b.js", "node_modules/m/e.md", "src/.x/f.js", "src/g.js"]],
    [rules("- *.js", "+ g.js"), ["a.md", "docs/c.md", "docs/deep/d.md", "node_modules/m/e.md"]],
    [rules("- {docs,src}/", "- b.*"), ["a.md", "node_modules/m/e.md"]],
    [
      rules("- a.md/"),
      ["a.md", "b.js", "docs/c.md", "docs/deep/d.md", "node_modules/m/e.md", "src/.x/f.js", "src/g.js"],
    ],
  ])("%o keeps %o", (filters, kept) => {
    expect(files(selected(REPO, { filters }).out)).toEqual(kept);
  });

  it("does not look into an excluded folder without need", () => {
    const { listed } = selected(REPO, { filters: rules("- node_modules", "+ *.md", "- *") });
    expect(listed).not.toContain("node_modules/m");
    expect(selected(REPO, { filters: rules("+ docs/deep/*", "- *") }).listed).not.toContain("src/g.js");
  });

  it("makes an excluded folder only where it holds something that is included", () => {
    expect(selected(REPO, { filters: rules("+ d.md", "- *") }).out).toEqual([
      "docs",
      "docs/deep",
      "docs/deep/d.md",
    ]);
  });

  it("bounds files by size and age, not folders", () => {
    const old = entry("old", "file", { size: 5, mtimeNs: NOW_NS - 100_000_000_000n });
    const fresh = entry("fresh", "file", { size: 50, mtimeNs: NOW_NS - 1_000_000_000n });
    const all = [entry("dir", "directory"), fresh, old];
    const kept = (options: Partial<FilterOptions>) => selected(all, { filters: [], ...options }).out;
    expect(kept({ minSize: 6 })).toEqual(["dir", "fresh"]);
    expect(kept({ maxSize: 49 })).toEqual(["dir", "old"]);
    expect(kept({ minAgeSeconds: 10 })).toEqual(["dir", "old"]);
    expect(kept({ maxAgeSeconds: 10 })).toEqual(["dir", "fresh"]);
  });

  it("gives what the rules say, however much of the tree it leaves unread", () => {
    const name = fc.constantFrom("a", "b", "c.x", "d.x");
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
    const pattern = fc.oneof(
      fc.constantFrom("*", "*.x", "a", "b/", "a/b", "/a/*", "a/**", "**/c.x", "{a,b}/c.x", "?/*.x", "/*"),
      path,
    );
    const list = fc.array(fc.record({ include: fc.boolean(), pattern }), { maxLength: 5 });
    fc.assert(
      fc.property(fc.array(path, { maxLength: 12 }), list, (paths, filters) => {
        // A path cannot be a file and a folder.
        const entries = tree(paths);
        const verdict = (each: Entry) => {
          const chain = [
            ...parentsOf(each.path).map((up) => [up, true] as const),
            [each.path, each.kind === "directory"] as const,
          ];
          const hit = filters.find((rule) =>
            chain.some(([at, isDirectory]) => compileGlob(rule.pattern).matches(at, isDirectory)),
          );
          return hit?.include ?? true;
        };
        const wanted = entries.filter(verdict);
        const withParents = new Set(wanted.flatMap((each) => [...parentsOf(each.path), each.path]));
        const expected = entries.filter((each) => withParents.has(each.path)).map((each) => each.path);
        const { out } = selected(entries, { filters });
        expect([...out].sort()).toEqual([...expected].sort());
        for (const [at, each] of out.entries()) {
          for (const up of parentsOf(each)) expect(out.indexOf(up)).toBeLessThan(at);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("glob", () => {
  it("takes names as bytes: newlines, dots, case, what looks like a path", () => {
    const matches = (pattern: string, path: string) => compileGlob(pattern).matches(path, false);
    expect(matches("*.txt", "a\nb.txt")).toBe(true);
    expect(matches("d/**", "d/a\nb/c")).toBe(true);
    expect(matches("*", ".hidden")).toBe(true);
    expect(matches("readme", "README")).toBe(false);
    expect(matches("*.bin", "bad\udcff.bin")).toBe(true);
    expect(matches("!a", "b")).toBe(false);
  });

  it.each(["", "/", "//"])("refuses %o", (pattern) => {
    expect(() => compileGlob(pattern)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});
