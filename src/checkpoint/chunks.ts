import { CHUNK_VALUE_BYTES } from "../model/checkpoint.ts";
import { Malformed } from "./bytes.ts";

/** Chunks of one page, 8 KiB of values: little for a file that has just begun, and 4,096 pages for a million chunks. */
const PAGE_CHUNKS = 256;
const RUN_HEAD_BYTES = 12;

interface Page {
  readonly has: Uint32Array;
  readonly values: Uint8Array;
}

/** The durable chunks of one file and their chaining values. Order of arrival does not matter; a chunk told twice has the last value. */
export class ChunkSet {
  readonly #pages = new Map<number, Page>();
  #count = 0;
  #highest = -1;

  get count(): number {
    return this.#count;
  }

  /** -1: none. */
  get highest(): number {
    return this.#highest;
  }

  has(index: number): boolean {
    const page = this.#pages.get(Math.floor(index / PAGE_CHUNKS));
    return page !== undefined && isSet(page, index % PAGE_CHUNKS);
  }

  /** `runs` as in `PartRecord.chunks`. @throws Malformed */
  add(runs: Uint8Array): void {
    for (const { first, count, values } of eachRun(runs)) {
      for (let done = 0; done < count; ) {
        const index = first + done;
        const within = index % PAGE_CHUNKS;
        const piece = Math.min(count - done, PAGE_CHUNKS - within);
        const bytes = values.subarray(done * CHUNK_VALUE_BYTES, (done + piece) * CHUNK_VALUE_BYTES);
        this.#put(Math.floor(index / PAGE_CHUNKS), within, bytes);
        done += piece;
      }
      this.#highest = Math.max(this.#highest, first + count - 1);
    }
  }

  #put(number: number, within: number, values: Uint8Array): void {
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = {
        has: new Uint32Array(PAGE_CHUNKS / 32),
        values: new Uint8Array(PAGE_CHUNKS * CHUNK_VALUE_BYTES),
      };
      this.#pages.set(number, page);
    }
    page.values.set(values, within * CHUNK_VALUE_BYTES);
    const end = within + values.length / CHUNK_VALUE_BYTES;
    for (let at = within; at < end; at += 1) {
      if (isSet(page, at)) continue;
      page.has[at >>> 5] = (page.has[at >>> 5] ?? 0) | (1 << (at & 31));
      this.#count += 1;
    }
  }

  /** All of them as runs, in order; one run for each stretch. */
  runs(): Uint8Array {
    const encoded = this.encoded();
    const out = Buffer.allocUnsafe(encoded.length);
    encoded.fill(out);
    return out;
  }

  /** The same, to be put where it belongs. Good until the set changes. */
  encoded(): { readonly length: number; fill(out: Buffer): void } {
    const stretches = this.#stretches();
    const length = stretches.length * RUN_HEAD_BYTES + this.#count * CHUNK_VALUE_BYTES;
    const fill = (out: Buffer) => {
      let at = 0;
      for (const { first, count } of stretches) {
        at = out.writeBigUInt64BE(BigInt(first), at);
        at = out.writeUInt32BE(count, at);
        at = this.#copy(first, count, out, at);
      }
    };
    return { length, fill };
  }

  #copy(first: number, count: number, out: Buffer, start: number): number {
    let at = start;
    for (let done = 0; done < count; ) {
      const within = (first + done) % PAGE_CHUNKS;
      const piece = Math.min(count - done, PAGE_CHUNKS - within);
      const page = this.#pages.get(Math.floor((first + done) / PAGE_CHUNKS));
      const from = within * CHUNK_VALUE_BYTES;
      if (page) out.set(page.values.subarray(from, from + piece * CHUNK_VALUE_BYTES), at);
      at += piece * CHUNK_VALUE_BYTES;
      done += piece;
    }
    return at;
  }

  #stretches(): { first: number; count: number }[] {
    const found: { first: number; count: number }[] = [];
    let open: { first: number; count: number } | undefined;
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(number) as Page;
      for (let within = 0; within < PAGE_CHUNKS; within += 1) {
        if (!isSet(page, within)) continue;
        const index = number * PAGE_CHUNKS + within;
        if (open && open.first + open.count === index && open.count < 0xffff_ffff) open.count += 1;
        else {
          open = { first: index, count: 1 };
          found.push(open);
        }
      }
    }
    return found;
  }
}

function isSet(page: Page, within: number): boolean {
  return ((page.has[within >>> 5] ?? 0) & (1 << (within & 31))) !== 0;
}

export interface Run {
  readonly first: number;
  readonly count: number;
  readonly values: Uint8Array;
}

/** @throws Malformed */
export function* eachRun(runs: Uint8Array): Generator<Run> {
  const view = Buffer.from(runs.buffer, runs.byteOffset, runs.length);
  for (let at = 0; at < view.length; ) {
    if (view.length - at < RUN_HEAD_BYTES) throw new Malformed("a run of chunks is cut short");
    const first = Number(view.readBigUInt64BE(at));
    const count = view.readUInt32BE(at + 8);
    at += RUN_HEAD_BYTES;
    const bytes = count * CHUNK_VALUE_BYTES;
    if (count === 0 || !Number.isSafeInteger(first + count)) throw new Malformed("a run of chunks of no use");
    if (bytes > view.length - at) throw new Malformed("a run of chunks is cut short");
    yield { first, count, values: view.subarray(at, at + bytes) };
    at += bytes;
  }
}
