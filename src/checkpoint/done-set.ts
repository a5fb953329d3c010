import { FILE_KEY_BYTES } from "../model/checkpoint.ts";

const KEY_WORDS = FILE_KEY_BYTES / 4;
/** 1 MiB of keys: what a growing set takes at a time. */
const BLOCK_KEYS = 1 << 16;
/** Small tables grow one at a time, so that no single insertion waits for a million others. */
const SHARDS = 64;
const FIRST_SLOTS = 256;

/**
 * A set of 16-byte file keys in typed arrays: 16 bytes a key and 5 to 11 of table, where a Set of strings takes over a hundred. Keys
 * are hashes, so their own bits place them: byte 0 the shard, bytes 4..7 the slot (open addressing, linear probing).
 */
export class DoneSet {
  readonly #first: Uint32Array;
  readonly #blocks: Uint32Array[] = [];
  readonly #tables: Uint32Array[] = Array.from({ length: SHARDS }, () => new Uint32Array(FIRST_SLOTS));
  readonly #used = new Uint32Array(SHARDS);
  readonly #probe = new Uint32Array(KEY_WORDS);
  readonly #probeBytes = new Uint8Array(this.#probe.buffer);
  #size = 0;

  /** The first `expected` keys are one array, which `packed` gives without a copy. */
  constructor(expected = 0) {
    this.#first = new Uint32Array(expected * KEY_WORDS);
  }

  get size(): number {
    return this.#size;
  }

  has(key: Uint8Array): boolean {
    return this.find(key) >= 0;
  }

  /** Its number, by the order of insertion; -1: not in the set. */
  find(key: Uint8Array): number {
    this.#probeBytes.set(key);
    return (this.#table()[this.#slot()] ?? 0) - 1;
  }

  /** Its number; `size` has grown when it was new. */
  add(key: Uint8Array): number {
    this.#probeBytes.set(key);
    const slot = this.#slot();
    const table = this.#table();
    const known = table[slot] ?? 0;
    if (known !== 0) return known - 1;
    const number = this.#size;
    this.#store(number);
    table[slot] = number + 1;
    this.#size += 1;
    const shard = this.#shard();
    const used = (this.#used[shard] ?? 0) + 1;
    this.#used[shard] = used;
    if (used * 4 > table.length * 3) this.#grow(shard);
    return number;
  }

  /** All keys, 16 bytes each, in the order of insertion. May be a view: not to be written to. */
  packed(): Uint8Array {
    const bytes = this.#size * FILE_KEY_BYTES;
    const first = new Uint8Array(this.#first.buffer);
    if (bytes <= first.length) return first.subarray(0, bytes);
    const out = new Uint8Array(bytes);
    out.set(first);
    let at = first.length;
    for (const block of this.#blocks) {
      const piece = new Uint8Array(block.buffer).subarray(0, Math.min(block.byteLength, bytes - at));
      out.set(piece, at);
      at += piece.length;
    }
    return out;
  }

  #shard(): number {
    return (this.#probeBytes[0] ?? 0) % SHARDS;
  }

  #table(): Uint32Array {
    return this.#tables[this.#shard()] as Uint32Array;
  }

  /** Where `#probe` is, or belongs. */
  #slot(): number {
    const table = this.#table();
    const mask = table.length - 1;
    let slot = (this.#probe[1] ?? 0) & mask;
    for (;;) {
      const number = (table[slot] ?? 0) - 1;
      if (number < 0 || this.#equals(number)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #equals(number: number): boolean {
    const { block, at } = this.#place(number);
    for (let word = 0; word < KEY_WORDS; word += 1) {
      if (block[at + word] !== this.#probe[word]) return false;
    }
    return true;
  }

  #place(number: number): { block: Uint32Array; at: number } {
    const at = number * KEY_WORDS;
    if (at < this.#first.length) return { block: this.#first, at };
    const behind = number - this.#first.length / KEY_WORDS;
    const index = Math.floor(behind / BLOCK_KEYS);
    let block = this.#blocks[index];
    if (block === undefined) {
      block = new Uint32Array(BLOCK_KEYS * KEY_WORDS);
      this.#blocks[index] = block;
    }
    return { block, at: (behind % BLOCK_KEYS) * KEY_WORDS };
  }

  #store(number: number): void {
    const { block, at } = this.#place(number);
    block.set(this.#probe, at);
  }

  #grow(shard: number): void {
    const old = this.#tables[shard] as Uint32Array;
    const table = new Uint32Array(old.length * 2);
    const mask = table.length - 1;
    for (const entry of old) {
      if (entry === 0) continue;
      const { block, at } = this.#place(entry - 1);
      let slot = (block[at + 1] ?? 0) & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = entry;
    }
    this.#tables[shard] = table;
  }
}
