import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PbError } from "../../model/error.ts";
import type { Backend } from "../backend.ts";
import type { ChunkAccess, ChunkSink, KnownVersion } from "../chunks.ts";
import { streaming } from "./chunk-streams.ts";
import { type Fixture, namesBelow, never, type OpenFixture, refused, sampleText } from "./fixture.ts";

export interface ChunkTraits {
  /** May the fixture's backend write? Default true. */
  readonly writes?: boolean;
  /** Bytes of the files that are written in chunks; more than two blocks of the endpoint. Default 3,000,001. */
  readonly largeBytes?: number;
  /** Does the endpoint tell that a file was replaced by another of the same size? Default true. */
  readonly tellsVersions?: boolean;
}

/** What the `ChunkAccess` of every endpoint without an engine must do (the contract is chunks.ts). */
export function chunkSuite(name: string, open: OpenFixture, traits: ChunkTraits = {}): void {
  describe(`chunks of ${name}`, () => {
    let fixture: Fixture;
    beforeEach(async () => {
      fixture = await open();
    });
    afterEach(async () => {
      await fixture[Symbol.asyncDispose]();
    });
    const current = () => fixture;
    describe("are read", () => reading(current, traits));
    if (traits.writes !== false) {
      describe("are written", () => writing(current));
      describe("of a large file", () => large(current, traits.largeBytes ?? 3_000_001));
      describe("of a stream", () => streaming(current));
    }
  });
}

function chunksOf({ native }: Backend): ChunkAccess {
  if (native.kind !== "chunks") throw new TypeError("a backend whose bytes JavaScript does not carry");
  return native.chunks;
}

async function known(backend: Backend, path: string): Promise<KnownVersion> {
  const { size, mtimeNs, version } = await backend.stat(path, { follow: true, signal: never });
  return { size, mtimeNs, ...(version === undefined ? {} : { version }) };
}

function reading(current: () => Fixture, { tellsVersions = true }: ChunkTraits): void {
  const text = sampleText(300_000);

  test("whole, when they are small", async () => {
    const { backend, place } = current();
    for (const [path, content] of [
      ["d/a b%20ü", "content"],
      ["empty", ""],
    ] as const) {
      await place.write(path, content);
      const into = Buffer.alloc(content.length);
      const options = { known: await known(backend, path), signal: never };
      const read = await chunksOf(backend).readWhole(path, into, options);
      expect(into.toString("latin1")).toBe(content);
      expect(read.size).toBe(content.length);
      expect(read.mtimeNs).toBe(options.known.mtimeNs);
      expect(read.version).toBe(options.known.version);
    }
  });

  test("at their offsets", async () => {
    const { backend, place } = current();
    await place.write("f", text);
    const options = { known: await known(backend, "f"), signal: never };
    await using source = await chunksOf(backend).open("f", options);
    expect(source.now.size).toBe(text.length);
    const ranges = [0, 100_000, 200_000].map((offset) => ({ offset, into: Buffer.alloc(100_000) }));
    if (source.parallel) {
      const all = ranges.toReversed().map(({ offset, into }) => source.read(offset, into, never));
      await Promise.all(all);
    } else for (const { offset, into } of ranges) await source.read(offset, into, never);
    expect(Buffer.concat(ranges.map(({ into }) => into)).equals(Buffer.from(text))).toBe(true);
    // What did not verify is asked for again, of any source.
    const again = Buffer.alloc(10);
    await source.read(150_000, again, never);
    expect(again.toString()).toBe(text.slice(150_000, 150_010));
    await source.finish(never);
  });

  test("not when they are gone, or are folders", async () => {
    const { backend, place } = current();
    await place.write("d/f", "x");
    const signal = never;
    const was = { size: 1, mtimeNs: 0n };
    await refused("not_found", chunksOf(backend).readWhole("none", Buffer.alloc(1), { known: was, signal }));
    await refused("not_found", readAll(chunksOf(backend), "none", was));
  });

  test("not in two versions", async () => {
    const { backend, place } = current();
    const chunks = chunksOf(backend);
    await place.write("f", text);
    const was = await known(backend, "f");
    await using source = await chunks.open("f", { known: was, signal: never });
    await source.read(0, Buffer.alloc(1000), never);
    await place.write("f", text.slice(0, 1500));
    const rest = async () => {
      await source.read(1000, Buffer.alloc(text.length - 1000), never);
      await source.finish(never);
    };
    await refused("source_changed", rest());
    await refused("source_changed", readAll(chunks, "f", was));
    await refused("source_changed", chunks.readWhole("f", Buffer.alloc(10), small("f", 10)));
    await refused("source_changed", chunks.readWhole("f", Buffer.alloc(9_000), small("f", 9_000)));
    if (!tellsVersions) return;
    await place.write("f", text.slice(1, 1501));
    const one = await known(backend, "f");
    await place.write("f", `${text.slice(0, 1499)}!`);
    const stale = { known: { ...one, mtimeNs: one.mtimeNs - 10_000_000_000n }, signal: never };
    if (one.version === undefined)
      await refused("source_changed", chunks.readWhole("f", Buffer.alloc(1500), stale));
    else await refused("source_changed", readAll(chunks, "f", one));
  });

  test("not after an abort", async () => {
    const { backend, place } = current();
    await place.write("f", "content");
    const signal = AbortSignal.abort();
    const was = await known(backend, "f");
    await refused("aborted", chunksOf(backend).open("f", { known: was, signal }));
    await refused("aborted", chunksOf(backend).readWhole("f", Buffer.alloc(7), { known: was, signal }));
    await using source = await chunksOf(backend).open("f", { known: was, signal: never });
    await refused("aborted", source.read(0, Buffer.alloc(7), signal));
  });

  test("never from above the root", async () => {
    const { backend } = current();
    const options = { known: { size: 15, mtimeNs: 0n }, signal: never };
    await refused(
      "path_escapes",
      chunksOf(backend).readWhole("../outside/canary", Buffer.alloc(15), options),
    );
    await refused("path_escapes", chunksOf(backend).open("a/../../outside/canary", options));
  });
}

const small = (_path: string, size: number) => ({ known: { size, mtimeNs: 0n }, signal: never });

async function readAll(chunks: ChunkAccess, path: string, was: KnownVersion): Promise<void> {
  await using source = await chunks.open(path, { known: was, signal: never });
  await source.read(0, Buffer.alloc(was.size), never);
  await source.finish(never);
}

const META = { mtimeNs: 1_600_000_000_123_456_789n, mode: 0o640 };

function writing(current: () => Fixture): void {
  const whole = { meta: META, sync: true, signal: never };

  test("whole, over what is there, with missing parents", async () => {
    const { backend, place } = current();
    await chunksOf(backend).writeWhole("a/b c/%25/ü", Buffer.from("one"), whole);
    await chunksOf(backend).writeWhole("a/b c/%25/ü", Buffer.from("other"), whole);
    await chunksOf(backend).writeWhole("a/empty", Buffer.alloc(0), whole);
    expect(await place.read("a/b c/%25/ü")).toBe("other");
    expect(await place.read("a/empty")).toBe("");
    expect(await namesBelow(backend, "a")).toEqual(["b c", "b c/%25", "b c/%25/ü", "empty"]);
  });

  test("with their time and mode, as far as the endpoint keeps them", async () => {
    const { backend } = current();
    const { capabilities } = backend;
    await chunksOf(backend).writeWhole("f", Buffer.from("x"), whole);
    const entry = await backend.stat("f", { follow: false, signal: never });
    const unit = BigInt(capabilities.mtimeResolutionNs);
    if (capabilities.setMtime === true) expect(entry.mtimeNs / unit).toBe(META.mtimeNs / unit);
    if (capabilities.permissions) expect(entry.mode).toBe(META.mode);
  });

  test("never above the root, and not after an abort", async () => {
    const { backend, place } = current();
    const chunks = chunksOf(backend);
    const options = { ...whole, size: 3 };
    for (const path of ["../outside/new", "a/../../outside/new"]) {
      await refused("path_escapes", chunks.writeWhole(path, Buffer.from("new"), whole));
      await refused("path_escapes", chunks.create(path, options));
    }
    const signal = AbortSignal.abort();
    await refused("aborted", chunks.writeWhole("f", Buffer.from("new"), { ...whole, signal }));
    await refused("aborted", chunks.create("f", { ...options, signal }));
    expect(await place.exists("f")).toBe(false);
  });

  test("200 at once", async () => {
    const { backend, place } = current();
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    const chunks = chunksOf(backend);
    const write = (n: number) => chunks.writeWhole(`d${n % 7}/${n}`, Buffer.from(`content ${n}`), whole);
    for (let at = 0; at < numbers.length; at += chunks.maxCalls)
      await Promise.all(numbers.slice(at, at + chunks.maxCalls).map(write));
    for (const n of numbers) expect(await place.read(`d${n % 7}/${n}`)).toBe(`content ${n}`);
  });
}

/** Writes [from, to) in the sink's own way; the buffers are spoilt as soon as each is written. */
async function fill(sink: ChunkSink, text: string, [from, to]: readonly [number, number]): Promise<void> {
  const unit = sink.blockBytes === 1 ? 262_144 : sink.blockBytes;
  const starts: number[] = [];
  for (let at = from; at < to; at += unit) starts.push(at);
  const write = async (at: number) => {
    const block = Buffer.from(text.slice(at, Math.min(at + unit, to)), "latin1");
    const cut = Math.floor(block.length / 3);
    await sink.write(at, [block.subarray(0, cut), block.subarray(cut)], never);
    block.fill(0x21);
  };
  if (sink.order === "ascending") for (const at of starts) await write(at);
  else await Promise.all(starts.toReversed().map(write));
}

function large(current: () => Fixture, size: number): void {
  const text = sampleText(size);
  const options = { meta: META, sync: true, size, signal: never };

  test("in any order that it takes, and under the final name only when it is whole", async () => {
    const { backend, place } = current();
    await place.write("d/f", "before");
    await using sink = await chunksOf(backend).create("d/f", options);
    await fill(sink, text, [0, size]);
    if (backend.capabilities.atomicReplace === true) expect(await place.read("d/f")).toBe("before");
    await sink.commit(never);
    expect((await place.read("d/f")) === text).toBe(true);
    expect(await namesBelow(backend, "d")).toEqual(["f"]);
    await sink.discard(never);
    expect(await place.exists("d/f")).toBe(true);
  });

  test("and nothing of it stays when it is given up", async () => {
    const { backend, place } = current();
    await place.fill("d", 0);
    const before = await namesBelow(backend, "");
    await using sink = await chunksOf(backend).create("d/f", options);
    const first = sink.blockBytes === 1 ? 1000 : sink.blockBytes;
    await fill(sink, text, [0, first]);
    await sink.discard(never);
    await sink.discard(never);
    expect(await namesBelow(backend, "")).toEqual(before);
  });

  test("goes on where it was left, by another who knows its state", async () => {
    const { backend, place } = current();
    const chunks = chunksOf(backend);
    const first = await chunks.create("d/f", options);
    const half = first.blockBytes === 1 ? 1_000_000 : first.blockBytes;
    await fill(first, text, [0, half]);
    const state = await first.state(never);
    await first[Symbol.asyncDispose]();
    if (backend.capabilities.resumeWrite !== true) {
      expect(state).toHaveLength(0);
      return;
    }
    expect(state.length).toBeLessThanOrEqual(4096);
    await using second = await chunks.create("d/f", { ...options, resume: Buffer.from(state) });
    expect(second.blockBytes).toBe(first.blockBytes);
    const has = [...(second.has ?? [])].sort((a, b) => a.from - b.from);
    expect([has[0]?.from, has.at(-1)?.to]).toEqual([0, half]);
    await fill(second, text, [half, size]);
    await second.commit(never);
    expect((await place.read("d/f")) === text).toBe(true);
  });

  test("can't go on with what is gone", async () => {
    const { backend } = current();
    if (backend.capabilities.resumeWrite !== true) return;
    const chunks = chunksOf(backend);
    const first = await chunks.create("d/f", options);
    await fill(first, text, [0, first.blockBytes === 1 ? 1000 : first.blockBytes]);
    const state = Buffer.from(await first.state(never));
    await first.discard(never);
    await refused("corrupt_checkpoint", chunks.create("d/f", { ...options, resume: state }));
    await refused("corrupt_checkpoint", chunks.create("d/f", { ...options, resume: Buffer.from("junk") }));
  });

  test("a file in the way of a folder is an error with its path", async () => {
    const { backend, place } = current();
    if (backend.capabilities.folders !== true) return;
    await place.write("f", "x");
    const error = await chunksOf(backend)
      .create("f/g", options)
      .then((sink) => fill(sink, text, [0, size]).then(() => sink.commit(never)))
      .then(
        () => expect.fail("a file below a file"),
        (caught: unknown) => caught,
      );
    expect(error).toBeInstanceOf(PbError);
    expect((error as PbError).path).toBeDefined();
    expect(await place.read("f")).toBe("x");
  });
}
