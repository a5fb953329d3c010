import { createCipheriv, createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";

/** Seeded bytes (AES-128-CTR over zeros): the same seed gives the same bytes, and nothing compresses. */
export function randomBytes(seed: number | string, length: number): Buffer {
  return stream(seed).update(Buffer.alloc(length));
}

function stream(seed: number | string) {
  const key = createHash("sha256").update(String(seed)).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
}

/** A seeded generator of integers below `bound`. */
export function randomIntegers(seed: number | string): (bound: number) => number {
  const source = stream(seed);
  return (bound) => source.update(Buffer.alloc(4)).readUInt32LE() % bound;
}

/** Writes a file of any size in pieces. */
export async function writeRandomFile(path: string, bytes: number, seed: number | string): Promise<void> {
  const source = stream(seed);
  const piece = Buffer.alloc(4 << 20);
  const file = await open(path, "w");
  try {
    for (let left = bytes; left > 0; left -= piece.length) {
      await file.write(source.update(left < piece.length ? piece.subarray(0, left) : piece));
    }
  } finally {
    await file.close();
  }
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}
