import type { Compared } from "./compare.ts";

/** What one round through the spool may hold; a single larger file makes a round of its own. */
const MAX_BATCH_BYTES = 4 * 1024 ** 3;
/** Bounds the memory of a round: names and metadata of this many entries. */
const MAX_BATCH_ENTRIES = 10_000;

/** Cuts a stream of compared entries into rounds; a round has entries of one source only. */
export async function* batchesOf(all: AsyncIterable<readonly Compared[]>): AsyncGenerator<Compared[]> {
  let batch: Compared[] = [];
  let bytes = 0;
  for await (const group of all) {
    for (const compared of group) {
      const size = compared.entry.kind === "file" ? compared.entry.size : 0;
      const full = bytes + size > MAX_BATCH_BYTES || batch.length >= MAX_BATCH_ENTRIES;
      if (batch.length > 0 && (full || batch[0]?.source !== compared.source)) {
        yield batch;
        [batch, bytes] = [[], 0];
      }
      batch.push(compared);
      bytes += size;
    }
  }
  if (batch.length > 0) yield batch;
}
