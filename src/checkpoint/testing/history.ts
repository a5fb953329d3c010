import {
  CHUNK_VALUE_BYTES,
  type Checkpoint,
  type CheckpointBatch,
  DONE_RECORD_BYTES,
  type PartRecord,
  type RecoveredCheckpoint,
} from "../../model/checkpoint.ts";
import { keyText } from "../batch.ts";
import { eachRun } from "../chunks.ts";

/** A 16-byte key that begins with a byte of the number. */
export function key(number: number): Uint8Array {
  const bytes = new Uint8Array(16).fill(number);
  new DataView(bytes.buffer).setUint32(4, number * 0x9e37_79b1);
  return bytes;
}

/** Runs of chunks [first, count], each value filled with `value`. */
export function runs(value: number, ...list: readonly (readonly [number, number])[]): Uint8Array {
  return Buffer.concat(
    list.map(([first, count]) => {
      const run = Buffer.alloc(12 + count * CHUNK_VALUE_BYTES, value);
      run.writeBigUInt64BE(BigInt(first), 0);
      run.writeUInt32BE(count, 8);
      return run;
    }),
  );
}

export function part(number: number, chunks: Uint8Array, more: Partial<PartRecord> = {}): PartRecord {
  return {
    key: key(number),
    target: `dir/file-${number}`,
    size: 1_000 * 65_536,
    chunkBytes: 65_536,
    temporary: Buffer.from(`.pb-${number}.part`),
    device: 7n,
    inode: BigInt(number) + 0xffff_ffff_0000_0000n,
    birthNs: 1_700_000_000_123_456_789n,
    chunks,
    ...more,
  };
}

export function done(...numbers: readonly number[]): Uint8Array {
  return Buffer.concat(
    numbers.map((number) => {
      const record = Buffer.alloc(DONE_RECORD_BYTES, number);
      record.set(key(number));
      record.writeBigUInt64BE(1_000n, 16);
      return record;
    }),
  );
}

export function batch(more: Partial<CheckpointBatch> = {}): CheckpointBatch {
  return { number: 1, parts: [], done: new Uint8Array(0), gone: new Uint8Array(0), ...more };
}

/** What a job knew, simply: to be compared with what is recovered. */
export class Model {
  readonly #parts = new Map<string, { id: string; chunks: Map<number, number>; extra: string }>();
  readonly #done = new Set<string>();

  apply({ gone, parts, done: finished }: CheckpointBatch): void {
    for (const each of split(gone, 16)) this.#parts.delete(keyText(each));
    for (const each of parts) this.#extend(each);
    for (const each of split(finished, DONE_RECORD_BYTES)) {
      this.#done.add(keyText(each.subarray(0, 16)));
      this.#parts.delete(keyText(each.subarray(0, 16)));
    }
  }

  #extend(each: PartRecord): void {
    const id = `${keyText(each.temporary)}/${each.inode}/${each.birthNs}/${each.device}/${each.chunkBytes}/${each.size}/${each.target}`;
    const text = keyText(each.key);
    let known = this.#parts.get(text);
    if (known?.id !== id) known = { id, chunks: new Map(), extra: "" };
    this.#parts.set(text, known);
    for (const { first, count, values } of eachRun(each.chunks)) {
      for (let index = 0; index < count; index += 1) {
        known.chunks.set(first + index, values[index * CHUNK_VALUE_BYTES] ?? 0);
      }
    }
    if (each.extra) known.extra += keyText(each.extra);
  }

  /** Equal texts: equal knowledge. */
  text(): string {
    const parts = [...this.#parts].map(([text, { id, chunks, extra }]) => {
      const list = [...chunks].sort(([a], [b]) => a - b).map(([index, value]) => `${index}:${value}`);
      return `${text} ${id} ${extra} ${list.join(",")}`;
    });
    return [...parts.sort(), "--", ...[...this.#done].sort()].join("\n");
  }

  static of(recovered: RecoveredCheckpoint): Model {
    const model = new Model();
    for (const each of recovered.parts) model.#extend(each);
    for (const each of split(recovered.done, 16)) model.#done.add(keyText(each));
    return model;
  }
}

function split(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: bytes.length / size }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}

/** What was known after each batch, and when (in operations) each was given and acknowledged. */
export class History {
  readonly states: string[];
  readonly givenAt: number[] = [0];
  readonly acknowledgedAt: number[] = [0];
  readonly #model: Model;
  readonly #clock: () => number;

  constructor(clock: () => number, from: RecoveredCheckpoint | undefined) {
    this.#clock = clock;
    this.#model = from ? Model.of(from) : new Model();
    this.states = [this.#model.text()];
  }

  async record(checkpoint: Checkpoint, batch: CheckpointBatch): Promise<void> {
    const number = this.states.length;
    this.#model.apply(batch);
    this.states.push(this.#model.text());
    this.givenAt.push(this.#clock());
    this.acknowledgedAt.push(Number.POSITIVE_INFINITY);
    await checkpoint.record(batch);
    this.acknowledgedAt[number] = this.#clock();
  }

  /** May this be known when the disk stopped after so many operations? */
  allows(text: string, operations: number): boolean {
    const least = this.acknowledgedAt.findLastIndex((at) => at <= operations);
    return this.states.some(
      (state, number) => number >= least && (this.givenAt[number] ?? 0) <= operations && state === text,
    );
  }
}

/** A small generator of chance with a seed (mulberry32). */
export function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
