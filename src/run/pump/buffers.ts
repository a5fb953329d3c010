/**
 * Buffers for chunks, used again. A buffer comes back only when its call has ended well: whatever a library still holds of one whose call failed,
 * it holds alone.
 */
export class Buffers {
  readonly #free: Buffer[] = [];

  async use<T>(length: number, run: (buffer: Buffer) => Promise<T>): Promise<T> {
    const buffer = this.#take(length);
    const result = await run(buffer.subarray(0, length));
    if (this.#free.length < MAX_FREE && buffer.length >= MIN_KEPT) this.#free.push(buffer);
    return result;
  }

  #take(length: number): Buffer {
    const last = this.#free.at(-1);
    if (last !== undefined && last.length >= length && length >= MIN_KEPT) {
      this.#free.pop();
      return last;
    }
    return Buffer.allocUnsafeSlow(length);
  }
}

/** Smaller ones are cheaper made than found. */
const MIN_KEPT = 64 * 1024;
/** 32 MiB of chunks of 1 MiB. */
const MAX_FREE = 32;
