import type { Backend, ChunkAccess, ChunkSource, KnownVersion } from "../../backend/backend.ts";
import { PbError } from "../../model/error.ts";
import type { Hasher } from "../../native/types.ts";
import type { Tuner } from "../tuning.ts";

export interface RereadOptions {
  readonly backend: Pick<Backend, "stat" | "remove">;
  readonly chunks: Pick<ChunkAccess, "open" | "readWhole">;
  readonly tuner: Pick<Tuner, "run">;
  /** `PathText` at the endpoint. */
  readonly path: string;
  /** As it was written. */
  readonly size: number;
  readonly signal: AbortSignal;
}

/** Read at once, and how many such pieces of one file are on their way. */
const PIECE_BYTES = 1024 * 1024;
const AHEAD = 4;

/**
 * A file that was written to an endpoint, read from it again. What is not as it was written is removed: it has the size and the times of what
 * was meant, and the next run would take it for that.
 */
export class Reread {
  readonly #options: RereadOptions;

  constructor(options: RereadOptions) {
    this.#options = options;
  }

  /** @throws PbError `verification_failed` */
  async isBytes(bytes: Uint8Array): Promise<void> {
    const { chunks, tuner, path, signal } = this.#options;
    const known = await this.#known();
    const there = Buffer.allocUnsafeSlow(bytes.length);
    await tuner.run(bytes.length, () => chunks.readWhole(path, there, { known, signal }));
    if (!there.equals(bytes)) await this.#refuse();
  }

  /** By its root hash. @throws PbError `verification_failed` */
  async isFile(root: Uint8Array, hasher: Hasher): Promise<void> {
    const { chunks, tuner, path, size, signal } = this.#options;
    const known = await this.#known();
    await using source = await tuner.run(0, () => chunks.open(path, { known, signal }));
    const ahead = source.parallel ? AHEAD : 1;
    const coming: Promise<Buffer>[] = [];
    try {
      for (let offset = 0, hashed = 0; hashed < size; ) {
        for (; offset < size && coming.length < ahead; offset += PIECE_BYTES)
          coming.push(this.#read(source, offset));
        const piece = await coming.shift();
        if (piece === undefined) break;
        hasher.update(piece);
        hashed += piece.length;
      }
    } finally {
      await Promise.allSettled(coming);
    }
    if (!Buffer.from(hasher.root()).equals(root)) await this.#refuse();
  }

  #read(source: ChunkSource, offset: number): Promise<Buffer> {
    const { tuner, size, signal } = this.#options;
    const into = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, size - offset));
    const read = tuner.run(into.length, async () => {
      await source.read(offset, into, signal);
      return into;
    });
    // Told when it is its turn.
    read.catch(() => undefined);
    return read;
  }

  async #known(): Promise<KnownVersion> {
    const { backend, tuner, path, size, signal } = this.#options;
    const now = await tuner.run(0, () => backend.stat(path, { follow: true, signal }));
    if (now.size !== size) await this.#refuse();
    return { size, mtimeNs: now.mtimeNs, ...(now.version === undefined ? {} : { version: now.version }) };
  }

  async #refuse(): Promise<never> {
    const { backend, path, signal } = this.#options;
    const removed = await backend.remove(path, { recursive: false, signal }).then(
      () => true,
      () => false,
    );
    const message = "what was read again at the destination is not what was written";
    throw new PbError("verification_failed", message, {
      path,
      retryable: false,
      hint: removed ? "it was removed there" : "remove it there: it could not be removed",
    });
  }
}
