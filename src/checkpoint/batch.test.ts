import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CheckpointBatch } from "../model/checkpoint.ts";
import { pathText } from "../model/path.ts";
import { checkBatch, decodeBatch, encodeBatch, type StoredBatch, type StoredPart } from "./batch.ts";
import { Malformed } from "./bytes.ts";
import { batch, done, part, runs } from "./testing/history.ts";

const bytes = (max: number, min = 0) => fc.uint8Array({ minLength: min, maxLength: max });
const anyPart: fc.Arbitrary<StoredPart> = fc.record({
  key: bytes(16, 16),
  target: bytes(40).map(pathText),
  size: fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
  chunkBytes: fc.integer({ min: 1, max: 2 ** 40 }),
  temporary: bytes(255),
  device: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  inode: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  birthNs: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  chunks: fc.array(fc.tuple(fc.nat(1_000), fc.integer({ min: 1, max: 5 }))).map((list) => runs(3, ...list)),
  extra: bytes(20),
  extraAt: fc.nat(1_000),
  worker: fc.nat(1_000),
});
const anyBatch: fc.Arbitrary<StoredBatch> = fc.record({
  sequence: fc.nat(),
  parts: fc.array(anyPart, { maxLength: 3 }),
  done: fc.nat(3).map((count) => done(...Array(count).keys())),
  gone: fc.nat(3).map((count) => new Uint8Array(16 * count).fill(count)),
});

/** Buffers and arrays alike. */
const plain = (value: unknown) =>
  JSON.parse(
    JSON.stringify(value, (_, each) =>
      typeof each === "bigint"
        ? `${each}n`
        : each?.type === "Buffer"
          ? each.data
          : each instanceof Uint8Array
            ? [...each]
            : each,
    ),
  );

describe("a batch", () => {
  it("survives being stored", () => {
    fc.assert(
      fc.property(anyBatch, (stored) => {
        expect(plain(decodeBatch(encodeBatch(stored)))).toEqual(plain(stored));
      }),
    );
  });

  it("is whole or malformed, never less, wherever it is cut", () => {
    const stored = encodeBatch({
      ...{ sequence: 9, done: done(1), gone: new Uint8Array(16) },
      parts: [{ ...part(1, runs(1, [0, 2])), extra: new Uint8Array(3), extraAt: 0 }],
    });
    for (let cut = 0; cut < stored.length; cut += 1) {
      expect(() => decodeBatch(stored.subarray(0, cut))).toThrow(Malformed);
    }
    expect(() => decodeBatch(Buffer.concat([stored, Buffer.alloc(1)]))).toThrow(Malformed);
  });

  it.each<[string, Partial<CheckpointBatch>]>([
    ["half a record", { done: new Uint8Array(57) }],
    ["half a key", { gone: new Uint8Array(15) }],
    ["not of 16 bytes", { parts: [part(1, runs(1), { key: new Uint8Array(15) })] }],
    ["has the size -2", { parts: [part(1, runs(1), { size: -2 })] }],
    ["chunks of no size", { parts: [part(1, runs(1), { chunkBytes: 0 })] }],
    ["has chunk 1000 of 1000", { parts: [part(1, runs(1, [999, 2]))] }],
    ["is malformed", { parts: [part(1, new Uint8Array(13))] }],
    ["name too long", { parts: [part(1, runs(1), { temporary: new Uint8Array(65_536) })] }],
    ["two records of one part", { parts: [part(1, runs(1)), part(1, runs(2))] }],
  ])("with %s is refused", (text, wrong) => {
    expect(() => checkBatch(batch(wrong))).toThrow(
      expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining(text) }),
    );
  });
});
