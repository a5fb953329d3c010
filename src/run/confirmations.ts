import type { Confirmed } from "../backend/backend.ts";

/**
 * How a transfer was verified, for its receipt: our own BLAKE3 over what left the source's reader and reached the destination's writer, and what
 * endpoints without an engine confirmed of their copies beside it.
 */
export class Confirmations {
  readonly #seen = new Map<string, number>();
  #least: Confirmed["how"] | undefined;

  add(confirmed: Confirmed): void {
    const name = confirmed.how === "hash" ? confirmed.algorithm : confirmed.how;
    this.#seen.set(name, (this.#seen.get(name) ?? 0) + 1);
    if (this.#least === undefined || RANK[confirmed.how] < RANK[this.#least]) this.#least = confirmed.how;
  }

  /**
   * "blake3", "blake3+crc32c", "blake3+size": the weakest that any file had; "blake3+reread", "blake3+crc32c+reread" where all that was written was
   * read again, by which its size is known.
   */
  text({ reread }: { readonly reread: boolean }): string {
    const confirmed = this.#confirmed;
    if (!reread) return confirmed;
    return confirmed === "blake3+size" ? "blake3+reread" : `${confirmed}+reread`;
  }

  get #confirmed(): string {
    if (this.#least === undefined || this.#least === "nothing") return "blake3";
    if (this.#least === "size") return "blake3+size";
    const algorithms = [...this.#seen.keys()].filter((name) => name !== "size" && name !== "nothing").sort();
    return ["blake3", ...algorithms].join("+");
  }
}

const RANK = { nothing: 0, size: 1, hash: 2 } as const;
