import { lstat, mkdir, readdir, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Backend, ChunkAccess, ChunkSource, KnownVersion } from "../backend/backend.ts";
import type { FolderChunksOptions } from "../backend/testing/folder-chunks.ts";
import { PbError } from "../model/error.ts";
import type { PumpCalls, PumpVersion } from "../native/pump.ts";
import type { SendEntry } from "../native/types.ts";
import { SourcePump } from "../run/pump/source.ts";
import { versionNumber } from "../run/pump/version.ts";
import { endpoint } from "./testing/endpoint.ts";
import { type Ended, type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

let loop: Loopback;
/** What the endpoints do before each call; each test has its own. */
let before: NonNullable<FolderChunksOptions["before"]> = () => {};

/** And after each. */
let after: NonNullable<FolderChunksOptions["after"]> = () => {};
const hooked: Pick<FolderChunksOptions, "before" | "after"> = {
  before: (call, path) => before(call, path),
  after: (call, path) => after(call, path),
};

beforeAll(async () => {
  loop = await startLoopback({
    remotes: {
      ...endpoint("cloud", hooked),
      ...endpoint("tape", { ...hooked, parallel: false, order: "ascending", maxCalls: 3 }),
      ...endpoint("parts", { ...hooked, blockBytes: 5 << 20 }),
    },
  });
});
afterAll(() => loop[Symbol.asyncDispose]());
beforeEach(() => {
  before = () => {};
  after = () => {};
});

const PLACES = {
  here: { folder: "here", place: () => loop.at("here") },
  box: { folder: "box", place: () => "box:" },
  cloud: { folder: "cloud", place: () => "cloud:" },
  tape: { folder: "tape", place: () => "tape:" },
  parts: { folder: "parts", place: () => "parts:" },
} as const;
type PlaceName = keyof typeof PLACES;

let count = 0;
function at(name: PlaceName, tree: string) {
  const { folder, place } = PLACES[name];
  return { folder: loop.at(folder, tree), place: `${place()}/${tree}` };
}

/** Bytes that repeat nowhere near. */
function bytes(size: number, seed = 1): Buffer {
  const out = Buffer.alloc(size);
  let state = seed;
  for (let n = 0; n < size; n += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    out[n] = state >>> 16;
  }
  return out;
}

const LARGE = bytes(7_654_321);

async function makeTree(folder: string): Promise<void> {
  await mkdir(join(folder, "sub", "deep"), { recursive: true });
  await mkdir(join(folder, "empty"));
  await writeFile(join(folder, "a b%20\u00fc.txt"), "aaa");
  await writeFile(join(folder, "sub", "none"), "");
  await writeFile(join(folder, "sub", "deep", "large"), LARGE);
  for (let n = 0; n < 40; n += 1) await writeFile(join(folder, "sub", `${n}`), bytes(n * 977, n));
  await utimes(join(folder, "a b%20\u00fc.txt"), 1_000_000, 1_000_000);
  await utimes(join(folder, "sub"), 2_000_000, 2_000_000);
}

async function contentOf(folder: string): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const stat = await lstat(join(folder, name));
    content[name] = stat.isDirectory() ? "folder" : (await readFile(join(folder, name))).toString("base64");
  }
  return content;
}

const state = ({ receipt, error }: Ended) => receipt?.state ?? error?.code;
const codes = ({ receipt }: Ended) => receipt?.errors.map(({ code }) => code);

async function tree(name: PlaceName) {
  count += 1;
  const spot = at(name, `t${count}`);
  await makeTree(spot.folder);
  return spot;
}

describe("between places with and without an engine", () => {
  const pairs = (Object.keys(PLACES) as PlaceName[]).flatMap((from) =>
    (Object.keys(PLACES) as PlaceName[]).map((to) => [from, to] as const),
  );
  const pumped = pairs.filter((pair) => pair.some((name) => name !== "here" && name !== "box"));

  it.each(pumped)("a tree goes from %s to %s", async (from, to) => {
    const source = await tree(from);
    const target = at(to, `t${count}-copy`);
    const done = await transfer(loop, { from: source.place, to: target.place });
    expect({ state: state(done), errors: codes(done) }).toEqual({ state: "done", errors: [] });
    expect(done.receipt?.files).toBe(43n);
    expect(done.receipt?.verified).toBe("blake3+size");
    expect((await contentOf(target.folder)) as object).toEqual(await contentOf(source.folder));
    for (const name of ["a b%20\u00fc.txt", "sub"]) {
      expect((await lstat(join(target.folder, name))).mtimeMs).toBe(
        (await lstat(join(source.folder, name))).mtimeMs,
      );
    }
    // What is the same is not sent again.
    const again = await transfer(loop, { from: source.place, to: target.place });
    expect([state(again), again.receipt?.files, again.receipt?.skippedFiles]).toEqual(["done", 0n, 43n]);
  });
});

describe("with an endpoint without an engine", () => {
  it("one file goes under a name of its own, and over what has it", async () => {
    await mkdir(loop.at("tape"), { recursive: true });
    const source = await tree("cloud");
    await writeFile(loop.at("tape", "one"), "before");
    const one = `${source.place}/sub/deep/large`;
    expect(state(await transfer(loop, { from: one, to: "tape:/one" }))).toBe("done");
    expect((await readFile(loop.at("tape", "one"))).equals(LARGE)).toBe(true);
    const down = await transfer(loop, { from: "tape:/one", to: loop.at("here", "renamed") });
    expect(state(down)).toBe("done");
    expect((await readFile(loop.at("here", "renamed"))).equals(LARGE)).toBe(true);
  });

  it.each(["cloud", "parts"] as const)("%s's own words of a failure reach the receipt", async (name) => {
    const source = loop.at("here", `words-${name}`);
    await mkdir(loop.at("here"), { recursive: true });
    await writeFile(source, LARGE);
    before = (call) => {
      if (call !== "write") return;
      throw new PbError("no_space", `${name}: the quota is used up`, { peer: name, hint: "pay for more" });
    };
    const { receipt } = await transfer(loop, { from: source, to: `${name}:/words` });
    expect(receipt?.errors[0]).toMatchObject({
      code: "no_space",
      message: `${name}: the quota is used up`,
      hint: "pay for more",
    });
    // The file is named as the source's; a place `cloud:<path here>` is none.
    for (const { path, peer } of receipt?.errors ?? []) expect(peer).toBe(path.length > 0 ? "" : name);
    const texts = new Set(receipt?.errors.map(({ message }) => message));
    expect(texts).toEqual(new Set([`${name}: the quota is used up`]));
  });

  it("a move takes the sources away, folders too, but none that changed meanwhile", async () => {
    const source = await tree("cloud");
    const target = at("box", `t${count}-moved`);
    const moved = await transfer(loop, { from: source.place, to: target.place, move: true });
    expect([state(moved), moved.receipt?.removedSources]).toEqual(["done", 47n]);
    expect(await readdir(loop.at("cloud"))).not.toContain(`t${count}`);
    const changing = await tree("cloud");
    after = async (call, path) => {
      if (call !== "readWhole" || !path.endsWith("sub/7")) return;
      await writeFile(join(changing.folder, "sub/7"), "other");
    };
    const kept = await transfer(loop, {
      from: changing.place,
      to: at("box", `t${count}-kept`).place,
      move: true,
    });
    expect(state(kept)).toBe("partial");
    expect(await readFile(join(changing.folder, "sub/7"), "utf8")).toBe("other");
  });

  it("links are left out, with a word about it", async () => {
    const source = await tree("here");
    await symlink("a", join(source.folder, "link"));
    const done = await transfer(loop, { from: source.place, to: `cloud:/t${count}-links` });
    expect([state(done), done.receipt?.files]).toEqual(["done", 43n]);
    expect(done.receipt?.notices.map(({ code }) => code)).toContain("skipped-links");
  });

  it("an interrupted transfer leaves no part of a file", async () => {
    const source = await tree("here");
    const stop = new AbortController();
    before = (call) => {
      if (call === "write") stop.abort();
    };
    const to = `cloud:/t${count}-stopped`;
    const ended = await transfer(loop, { from: `${source.place}/sub/deep`, to, signal: stop.signal }).catch(
      (error: unknown) => PbError.from(error),
    );
    expect(ended).toBeDefined();
    // The caller is let go before what it started has cleaned up.
    const left = () => readdir(loop.at("cloud", `t${count}-stopped`)).catch(() => []);
    await expect.poll(left, { timeout: 5_000 }).toEqual([]);
  });
});

describe("an endpoint that", () => {
  it("names versions is read in the one that was listed, or is known to have another", async () => {
    const opened: (string | undefined)[] = [];
    const source: ChunkSource = {
      now: { size: 300_000, mtimeNs: 5n },
      parallel: true,
      read: async () => {},
      finish: async () => ({ how: "nothing" }),
      [Symbol.asyncDispose]: async () => {},
    };
    const chunks = {
      maxCalls: 2,
      open: async (_path: string, { known }: { known: KnownVersion }) => {
        opened.push(known.version);
        if (known.version === "old") throw new PbError("source_changed", "another ETag");
        return source;
      },
    } as unknown as ChunkAccess;
    const stat = async () => ({ size: 300_000, mtimeNs: 5n, version: "new" });
    const pump = new SourcePump({ backend: { stat } as unknown as Backend, chunks, onConfirmed: () => {} });
    const entry = { source: "a", size: 300_000, version: "old" } as SendEntry;
    const said: PumpVersion[] = [];
    const calls = { version: (_: number, what: PumpVersion) => said.push(what) } as unknown as PumpCalls;
    const subject = { path: "a", kind: "file", size: 300_000, mtimeNs: 5n, mode: 0, version: 1n } as const;
    pump.expect([entry]);
    pump.pump({ number: 1, kind: "open", id: 1, offset: 0, length: 0, subject }, calls);
    await expect.poll(() => said.length).toBe(1);
    expect(opened).toEqual(["old", "new"]);
    // An endpoint that says no more than it was told has what it was asked for.
    expect(said[0]?.version).toBe(versionNumber("new"));
    // What was skipped is not remembered for ever.
    pump.expect(Array.from({ length: 100_001 }, (_, n) => ({ ...entry, source: `${n}`, version: "new" })));
    for (const path of ["0", "1"])
      pump.pump(
        { number: 2, kind: "open", id: 2, offset: 0, length: 0, subject: { ...subject, path } },
        calls,
      );
    await expect.poll(() => opened.slice(2)).toEqual([undefined, "new"]);
    await pump[Symbol.asyncDispose]();
  });

  it("wants whole blocks gets them, however little memory there is", async () => {
    count += 1;
    await mkdir(loop.at("cloud", `t${count}`), { recursive: true });
    for (const name of ["a", "b", "c", "d"]) await writeFile(loop.at("cloud", `t${count}`, name), LARGE);
    for (const to of [`parts:/t${count}-small`, `tape:/t${count}-small`]) {
      const options = { memoryBytes: 8n << 20n };
      const done = await transfer(loop, { from: `cloud:/t${count}`, to, options });
      expect([state(done), done.receipt?.files]).toEqual(["done", 4n]);
    }
  });

  it("is slow has as many calls at once as help", async () => {
    const source = await tree("cloud");
    let [now, most] = [0, 0];
    before = async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setTimeout(resolve, 15));
      now -= 1;
    };
    const done = await transfer(loop, { from: source.place, to: loop.at("here", `t${count}-slow`) });
    expect(state(done)).toBe("done");
    expect(most).toBeGreaterThanOrEqual(2);
    expect(most).toBeLessThanOrEqual(8);
  });

  it("has its folders' times set by several calls at once, the deepest first", async () => {
    count += 1;
    const [from, to] = [loop.at("here", `t${count}`), loop.at("cloud", `t${count}`)];
    for (let n = 0; n < 12; n += 1) await mkdir(join(from, `d${n}`, "e"), { recursive: true });
    for (const name of [...(await readdir(from, { recursive: true })), ""])
      await utimes(join(from, name), 1, 1);
    let [now, most] = [0, 0];
    const depths: number[] = [];
    before = async (call, path) => {
      if (call !== "setFolder") return;
      depths.push(path.split("/").length);
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setTimeout(resolve, 15));
      now -= 1;
    };
    const done = await transfer(loop, { from, to: `cloud:/t${count}` });
    expect(state(done)).toBe("done");
    expect(most).toBeGreaterThanOrEqual(2);
    expect(depths).toEqual([...depths].sort((a, b) => b - a));
    for (const name of ["", "d0", "d11/e"]) expect((await lstat(join(to, name))).mtimeMs).toBe(1_000);
  });

  it("fails now and then is asked again", async () => {
    const source = await tree("cloud");
    let random = 1;
    before = () => {
      random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
      if (random / 2 ** 32 > 0.1) return;
      throw new PbError("resource_exhausted", "slow down", { retryAfterMs: 1 });
    };
    for (const [from, to] of [
      [source.place, `parts:/t${count}-now`],
      [`parts:/t${count}-now`, `tape:/t${count}-then`],
    ] as const) {
      const done = await transfer(loop, { from, to });
      expect({ state: state(done), errors: codes(done) }).toEqual({ state: "done", errors: [] });
    }
    before = () => {};
    expect(await contentOf(loop.at("tape", `t${count}-then`))).toEqual(await contentOf(source.folder));
  });

  it("refuses some files keeps the others", async () => {
    const source = await tree("cloud");
    before = (_call, path) => {
      if (/deep.large|sub.7$/.test(path)) throw new PbError("permission_denied", "not for you", { path });
    };
    for (const to of [loop.at("here", `t${count}-a`), `box:/t${count}-a`, `parts:/t${count}-a`]) {
      const done = await transfer(loop, { from: source.place, to });
      expect([state(done), done.receipt?.files]).toEqual(["partial", 41n]);
      const told = done.receipt?.errors.map(({ code, path }) => [code, Buffer.from(path).toString()]) ?? [];
      // Each once, by the name that the user knows.
      expect(told.sort()).toEqual([
        ["permission_denied", `${source.place}/sub/7`],
        ["permission_denied", `${source.place}/sub/deep/large`],
      ]);
    }
  });

  it("lies about a size is not believed", async () => {
    const source = await tree("cloud");
    before = async (call, path) => {
      if (call === "read" && path.endsWith("large")) {
        before = () => {};
        await writeFile(join(source.folder, "sub/deep/large"), LARGE.subarray(0, 5_000_000));
      }
    };
    const done = await transfer(loop, { from: source.place, to: `box:/t${count}-lies` });
    expect([state(done), codes(done)]).toEqual(["partial", ["source_changed"]]);
    expect(await readdir(loop.at("box", `t${count}-lies`, "sub", "deep"))).toEqual([]);
  });
});
