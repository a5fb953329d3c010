/** By the first byte of the key, a hash: no shard grows faster than the others, and none is large when it has to grow. */
const SHARDS = 64;

/** A map of maps by the text of a file key (32 hexadecimal digits). */
export class ShardedMap<T> {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, T>());

  get size(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.size, 0);
  }

  get(key: string): T | undefined {
    return this.#shard(key).get(key);
  }

  set(key: string, value: T): void {
    this.#shard(key).set(key, value);
  }

  delete(key: string): boolean {
    return this.#shard(key).delete(key);
  }

  *entries(): Generator<[string, T]> {
    for (const shard of this.#shards) yield* shard;
  }

  #shard(key: string): Map<string, T> {
    return this.#shards[Number.parseInt(key.slice(0, 2), 16) % SHARDS] as Map<string, T>;
  }
}
