import { expect, test } from "vitest";
import type { ChunkAccess } from "../chunks.ts";
import { type Fixture, never, sampleText } from "./fixture.ts";

/** Bytes beyond the sink's blocks, or of one without blocks. */
const REST = 70_001;

/** Of files whose size is not known when they are begun. */
export function streaming(current: () => Fixture): void {
  const create = (path: string) => {
    const { native } = current().backend;
    const { chunks } = native as { readonly chunks: ChunkAccess };
    const options = { size: Number.POSITIVE_INFINITY, meta: { mtimeNs: 0n }, sync: false, signal: never };
    return chunks.create(path, options);
  };

  test.each([
    ["nothing", 0, 0],
    ["a few bytes", 0, 5],
    ["one block", 1, 0],
    ["a block and a rest", 1, REST],
  ])("of %s", async (_what, blocks, rest) => {
    const { place } = current();
    await place.write("d/stream", "before");
    const sink = await create("d/stream");
    const blockBytes = sink.blockBytes === 1 ? REST : sink.blockBytes;
    const text = sampleText(blocks * blockBytes + rest);
    for (let at = 0; at < text.length; at += blockBytes)
      await sink.write(at, [Buffer.from(text.slice(at, at + blockBytes))], never);
    const { how } = await sink.commit(never);
    expect(["hash", "size", "nothing"]).toContain(how);
    await sink[Symbol.asyncDispose]();
    expect((await place.read("d/stream")) === text).toBe(true);
  });

  test("that is given up leaves nothing", async () => {
    const { place } = current();
    const sink = await create("gone");
    await sink.write(0, [Buffer.alloc(sink.blockBytes === 1 ? REST : sink.blockBytes)], never);
    await sink.discard(never);
    await sink[Symbol.asyncDispose]();
    expect(await place.exists("gone")).toBe(false);
  });
}
