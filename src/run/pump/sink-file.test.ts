import { expect, it } from "vitest";
import type { ChunkSink } from "../../backend/backend.ts";
import type { PumpAsk, PumpCalls } from "../../native/pump.ts";
import { Tuner } from "../tuning.ts";
import { Buffers } from "./buffers.ts";
import { SinkFile } from "./sink-file.ts";

it.each(["any", "ascending"] as const)(
  "a chunk for a file (%s) that was given up while it was begun holds nothing of the job's memory",
  async (order) => {
    let open: (sink: ChunkSink) => void = () => {};
    const opened = new Promise<ChunkSink>((resolve) => {
      open = resolve;
    });
    const held = { bytes: 0, most: 1_000 };
    const options = { path: "a", size: 100, held, tuner: new Tuner({ max: 1 }), buffers: new Buffers() };
    const file = new SinkFile(opened, { ...options, signal: new AbortController().signal });
    const ask: PumpAsk = { number: 1, kind: "write", id: 1, offset: 50, length: 10 };
    const written = file.write(ask, {} as PumpCalls);
    const discarded = file.discard();
    const close = async () => {};
    open({
      blockBytes: 20,
      order,
      discard: close,
      [Symbol.asyncDispose]: close,
    } as Partial<ChunkSink> as ChunkSink);
    await expect(written).rejects.toThrow(expect.objectContaining({ code: "aborted" }));
    await discarded;
    expect(held.bytes).toBe(0);
  },
);

it("what waits for its turn alone holds its credit; what waits for what is missing holds a part of it", async () => {
  const held = { bytes: 0, most: 20 };
  const options = { path: "a", size: 100, held, tuner: new Tuner({ max: 1 }), buffers: new Buffers() };
  const written: number[] = [];
  const copied: number[] = [];
  let goOn: () => void = () => {};
  const taking = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const close = async () => {};
  const sink: ChunkSink = {
    blockBytes: 1,
    order: "ascending",
    async write(offset) {
      await taking;
      written.push(offset);
    },
    state: async () => new Uint8Array(),
    commit: async () => ({ how: "nothing" }),
    discard: close,
    [Symbol.asyncDispose]: close,
  };
  const file = new SinkFile(Promise.resolve(sink), { ...options, signal: new AbortController().signal });
  const calls = {
    take: () => true,
    done: () => {},
    keepCopy: (number: number) => void copied.push(number),
  } as Partial<PumpCalls> as PumpCalls;
  const write = (offset: number) =>
    file.write({ number: offset, kind: "write", id: 1, offset, length: 10 }, calls);
  const all = [write(0), write(10), write(20), write(30)];
  await Promise.resolve();
  all.push(write(50), write(60), write(80));
  await new Promise((resolve) => setImmediate(resolve));
  // 40 is missing: two of those behind it are as much as may wait.
  expect([held.bytes, copied]).toEqual([20, [80]]);
  all.push(write(40), write(70));
  goOn();
  await Promise.all(all);
  expect(held.bytes).toBe(0);
  expect(copied).toEqual([80]);
  expect(written[0]).toBe(0);
});
