/** Big-endian integers and length-prefixed bytes, in order. */

/** A copy; `slice` of a Buffer is none. */
export function copied(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** Room for exactly `size` bytes; who writes more has counted wrongly. */
export class ByteWriter {
  readonly bytes: Buffer;
  #at = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  u16(value: number): void {
    this.#at = this.bytes.writeUInt16BE(value, this.#at);
  }

  u32(value: number): void {
    this.#at = this.bytes.writeUInt32BE(value, this.#at);
  }

  u64(value: number | bigint): void {
    this.#at = this.bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)), this.#at);
  }

  raw(value: Uint8Array): void {
    this.bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** To be filled by the caller. */
  space(length: number): Buffer {
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }

  /** Prefixed by its length, u32. */
  sized(value: Uint8Array): void {
    this.u32(value.length);
    this.raw(value);
  }
}

/** Thrown by `ByteReader` alone, and caught where the bytes came from. */
export class Malformed extends Error {}

/** Reads what `ByteWriter` wrote; every length is checked. @throws Malformed */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  /** @throws Malformed above 2^53 */
  safe(): number {
    const value = Number(this.u64());
    if (!Number.isSafeInteger(value)) throw new Malformed("a number above 2^53");
    return value;
  }

  /** A view, not a copy. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  sized(): Uint8Array {
    return this.raw(this.u32());
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Malformed("bytes left over");
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw new Malformed("cut short");
    this.#at = at + length;
    return at;
  }
}
