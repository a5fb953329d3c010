import type { CheckpointFile } from "./files.ts";

/** Read at once; large against a system call, small against memory. */
const WINDOW_BYTES = 1 << 20;

/** A file read from front to back in pieces, whatever its size. */
export class FileWindow {
  readonly size: number;
  readonly #file: CheckpointFile;
  #buffer = Buffer.alloc(0);
  #start = 0;

  constructor(file: CheckpointFile, size: number) {
    this.#file = file;
    this.size = size;
  }

  /** A view that is good until the next call; undefined where the file ends before. */
  async at(offset: number, length: number): Promise<Buffer | undefined> {
    if (offset + length > this.size) return undefined;
    if (offset < this.#start || offset + length > this.#start + this.#buffer.length) {
      const wanted = Math.min(Math.max(length, WINDOW_BYTES), this.size - offset);
      const buffer = Buffer.allocUnsafe(wanted);
      const got = await this.#file.read(buffer, offset);
      this.#buffer = buffer.subarray(0, got);
      this.#start = offset;
      if (got < length) return undefined;
    }
    return this.#buffer.subarray(offset - this.#start, offset - this.#start + length);
  }
}

/** Opens, lets `work` read, closes. */
export async function reading<T>(
  file: Promise<CheckpointFile>,
  work: (window: FileWindow) => Promise<T>,
): Promise<T> {
  const opened = await file;
  try {
    return await work(new FileWindow(opened, await opened.size()));
  } finally {
    await opened.close();
  }
}
