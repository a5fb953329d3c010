import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry } from "../model/entry.ts";
import { pathBytes, pathText } from "../model/path.ts";
import { compareListed, coverOf, isBelow, parentsOf } from "./order.ts";
import { decideOverwrite, type Resolutions } from "./overwrite.ts";
import { stepsFor } from "./steps.ts";
import { resolveTargets, type SourceShape } from "./targets.ts";

const name = fc
  .uint8Array({ minLength: 1, maxLength: 6 })
  .map((bytes) => pathText(bytes.map((byte) => (byte === 0x2f || byte === 0 ? 0x61 : byte))));
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));

const source = (at: string, kind: SourceShape["kind"] = "file"): SourceShape => ({
  path: at,
  kind,
  label: at,
});
const destination = (at: string, kind?: SourceShape["kind"]) => ({
  path: at,
  label: at,
  ...(kind ? { kind } : {}),
});
const failsWith = (code: string) => expect.objectContaining({ code });

describe("order", () => {
  it("is total, puts folders before their content and names by their bytes", () => {
    fc.assert(
      fc.property(path, path, name, (a, b, inside) => {
        expect(Math.sign(compareListed(a, b))).toBe(-Math.sign(compareListed(b, a)) + 0);
        expect(compareListed(a, `${a}/${inside}`)).toBeLessThan(0);
        const [one = "", two = ""] = [a.split("/")[0], b.split("/")[0]];
        if (one !== two) {
          const bytes = Buffer.compare(pathBytes(one), pathBytes(two));
          expect(Math.sign(compareListed(a, b))).toBe(bytes);
        }
      }),
    );
  });

  it("covers every path once", () => {
    fc.assert(
      fc.property(fc.array(path), (paths) => {
        const trimmed = paths.map((each) => coverOf([each])[0] ?? "");
        const cover = coverOf(paths);
        for (const each of trimmed) {
          expect(cover.filter((held) => held === each || isBelow(each, held))).toHaveLength(1);
        }
        expect(cover.every((held) => trimmed.includes(held))).toBe(true);
      }),
    );
    expect(coverOf(["./a/b/", "a", "b/c", "/b/c"])).toEqual(["a", "b/c"]);
    expect(parentsOf("a/b/c")).toEqual(["a", "a/b"]);
  });
});

describe("resolveTargets", () => {
  it("puts a folder's contents inside the destination, there or not", () => {
    for (const there of [undefined, "directory"] as const) {
      const targets = resolveTargets({
        sources: [source("/data", "directory")],
        destination: destination("/to", there),
        several: false,
      });
      expect(targets).toEqual({ base: "/to", exactName: false, prefixes: [""] });
    }
  });

  it("puts one file into an existing folder, else gives it the destination's name", () => {
    const options = { sources: [source("/data/a.txt")], several: false };
    expect(resolveTargets({ ...options, destination: destination("/to", "directory") })).toEqual({
      base: "/to",
      exactName: false,
      prefixes: ["a.txt"],
    });
    for (const there of [undefined, "file"] as const) {
      expect(resolveTargets({ ...options, destination: destination("/to", there) })).toEqual({
        base: "/to",
        exactName: true,
        prefixes: [""],
      });
    }
  });

  it("gives several sources their own names, each a different one, or names the two that collide", () => {
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 5 }), (names) => {
        fc.pre(names.every((each) => each !== "." && each !== ".."));
        const sources = names.map((each, at) => source(`/from${at}/${each}`));
        const resolve = () => resolveTargets({ sources, destination: destination("/to"), several: true });
        if (new Set(names).size === names.length) expect(resolve().prefixes).toEqual(names);
        else expect(resolve).toThrow(failsWith("invalid_argument"));
      }),
    );
    expect(() =>
      resolveTargets({
        sources: [source("/a/x"), source("/b/x")],
        destination: destination("/to"),
        several: true,
      }),
    ).toThrow(/\/a\/x and \/b\/x/);
  });

  it("keeps twins in case and Unicode form apart", () => {
    const sources = ["/a/e\u0301", "/b/\u00e9", "/c/X", "/d/x"].map((each) => source(each));
    const targets = resolveTargets({ sources, destination: destination("/to"), several: true });
    expect(new Set(targets.prefixes).size).toBe(4);
  });

  it("refuses a folder into a file, a nameless source, and nothing", () => {
    const resolve = (sources: SourceShape[], kind?: "file") => () =>
      resolveTargets({ sources, destination: destination("/to", kind), several: sources.length !== 1 });
    expect(resolve([source("/d", "directory")], "file")).toThrow(failsWith("not_a_directory"));
    expect(resolve([source("/", "directory"), source("/d")])).toThrow(failsWith("invalid_argument"));
    expect(resolve([])).toThrow(failsWith("invalid_argument"));
  });
});

const file = (values: Partial<Entry> = {}): Entry => ({
  path: "f",
  kind: "file",
  size: 10,
  mtimeNs: 1_900_000_000n,
  mode: 0o644,
  uid: 0,
  gid: 0,
  ...values,
});
const exact = { sourceNs: 1, destinationNs: 1 };

describe("decideOverwrite", () => {
  const writes = (
    policy: Parameters<typeof decideOverwrite>[0],
    existing: Entry | undefined,
    resolutions: Resolutions = exact,
  ) => decideOverwrite(policy, { source: file(), existing, resolutions }).write;

  it("follows the policy", () => {
    expect(writes("never", undefined)).toBe(true);
    expect(writes("never", file({ size: 1 }))).toBe(false);
    expect(writes("always", file())).toBe(true);
    expect(writes("if-different", file())).toBe(false);
    expect(writes("if-different", file({ size: 11 }))).toBe(true);
    expect(writes("if-different", file({ mtimeNs: 1_900_000_001n }))).toBe(true);
    expect(writes("if-newer", file({ mtimeNs: 1_900_000_001n, size: 11 }))).toBe(false);
    expect(writes("if-newer", file({ mtimeNs: 1_899_999_999n }))).toBe(true);
  });

  it("compares mtimes at the coarser resolution of both sides", () => {
    const seconds = { sourceNs: 1, destinationNs: 1_000_000_000 };
    expect(writes("if-different", file({ mtimeNs: 1_000_000_000n }), seconds)).toBe(false);
    expect(writes("if-newer", file({ mtimeNs: 1_000_000_000n }), seconds)).toBe(false);
    expect(writes("if-different", file({ mtimeNs: 0n }), seconds)).toBe(true);
  });

  it("takes what was put after the source last changed for the same, where no times are kept", () => {
    const put = { sourceNs: 1, destinationNs: 1_000_000_000, putTimes: true };
    expect(writes("if-different", file({ mtimeNs: 9_000_000_000n }), put)).toBe(false);
    expect(writes("if-different", file({ mtimeNs: 9_000_000_000n, size: 11 }), put)).toBe(true);
    // Cut from 1.95 s, perhaps: whether the source changed before or after that is not known.
    expect(writes("if-different", file({ mtimeNs: 1_000_000_000n }), put)).toBe(true);
    const unknown = { source: file({ mtimeNs: 0n }), existing: file({ mtimeNs: 9_000_000_000n }) };
    expect(decideOverwrite("if-different", { ...unknown, resolutions: put }).write).toBe(true);
    expect(writes("always", file({ mtimeNs: 9_000_000_000n }), put)).toBe(true);
    expect(writes("if-newer", file({ mtimeNs: 9_000_000_000n }), put)).toBe(false);
  });

  it("never writes a second time what it has just written, at any resolution and policy but always", () => {
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 62n),
        fc.constantFrom(1, 100, 1_000_000_000, 2_000_000_000),
        fc.constantFrom("never", "if-different", "if-newer"),
        (mtimeNs, destinationNs, policy) => {
          const stored = mtimeNs - (mtimeNs % BigInt(destinationNs));
          const pair = { source: file({ mtimeNs }), existing: file({ mtimeNs: stored }) };
          const decision = decideOverwrite(policy, { ...pair, resolutions: { sourceNs: 1, destinationNs } });
          expect(decision.write).toBe(false);
        },
      ),
    );
  });

  it("compares links by what they point to and replaces another kind", () => {
    const link = (linkTarget: string) => file({ kind: "symlink", linkTarget });
    const decide = (from: Entry, existing: Entry) =>
      decideOverwrite("if-different", { source: from, existing, resolutions: exact }).write;
    expect(decide(link("a"), link("a"))).toBe(false);
    expect(decide(link("a"), link("b"))).toBe(true);
    expect(decide(link("a"), file())).toBe(true);
  });
});

describe("stepsFor", () => {
  const steps = (entry: Entry, existing?: Entry, move = false) =>
    stepsFor({ entry, target: "t", existing, overwrite: "if-different", resolutions: exact, move }).map(
      (step) => step.action,
    );

  it("says what would be done", () => {
    expect(steps(file())).toEqual(["copy"]);
    expect(steps(file(), file())).toEqual(["skip"]);
    expect(steps(file({ kind: "directory" }))).toEqual(["mkdir"]);
    expect(steps(file({ kind: "symlink", linkTarget: "x" }))).toEqual(["link"]);
    expect(steps(file({ kind: "other" }), undefined, true)).toEqual(["skip"]);
  });

  it("leaves links out where there can be none, and their sources", () => {
    const entry = file({ kind: "symlink", linkTarget: "x" });
    const wish = {
      entry,
      target: "t",
      existing: undefined,
      overwrite: "always",
      resolutions: exact,
    } as const;
    const none = { action: "skip", path: "t", size: 0, reason: "it has none" };
    expect(stepsFor({ ...wish, links: "it has none", move: true })).toEqual([none]);
  });

  it("removes a source only when its verified copy is at the destination", () => {
    expect(steps(file(), undefined, true)).toEqual(["copy", "remove-source"]);
    expect(steps(file(), file(), true)).toEqual(["skip"]);
    const kept = stepsFor({
      entry: file(),
      target: "t",
      existing: file({ size: 1 }),
      overwrite: "never",
      resolutions: exact,
      move: true,
    });
    expect(kept.map((step) => step.action)).toEqual(["skip"]);
  });
});
