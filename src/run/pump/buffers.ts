/**
 * Buffers for chunks, used again. A buffer comes back only when its call has ended well: whatever a library still holds of one whose call failed,
 * it holds alone.
 */
export class Buffers {
  readonly #free: Buffer[] = [];
  #freeBytes = 0;

  async use<T>(length: number, run: (buffer: Buffer) => Promise<T>): Promise<T> {
    const buffer = this.#take(length);
    const result = await run(buffer.subarray(0, length));
    if (this.#freeBytes + buffer.length <= MAX_FREE_BYTES && buffer.length >= MIN_KEPT) {
      this.#free.push(buffer);
      this.#freeBytes += buffer.length;
    }
    return result;
  }

  #take(length: number): Buffer {
    const last = length >= MIN_KEPT ? this.#free.pop() : undefined;
    if (last !== undefined) this.#freeBytes -= last.length;
    // One that is too small makes room for the next that is kept.
    if (last !== undefined && last.length >= length) return last;
    return Buffer.allocUnsafeSlow(length);
  }
}

/** Smaller ones are cheaper made than found. */
const MIN_KEPT = 64 * 1024;
const MAX_FREE_BYTES = 32 * 1024 * 1024;
