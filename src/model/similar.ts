/** A slip for each so many letters is taken for one, and one always. */
const LETTERS_PER_SLIP = 3;

/** Of the names that can be meant by a word the nearest; undefined where none is near. */
export function mostSimilar(word: string, names: Iterable<string>): string | undefined {
  let best: { readonly name: string; readonly slips: number } | undefined;
  for (const name of names) {
    const slips = slipsBetween(word, name);
    const letters = Math.min(word.length, name.length);
    const bound = Math.min(Math.max(1, Math.floor(letters / LETTERS_PER_SLIP)), letters);
    if (slips <= bound && (best === undefined || slips < best.slips)) best = { name, slips };
  }
  return best?.name;
}

/**
 * Letters to insert, leave out, replace or swap with their neighbour (optimal string alignment: Damerau, "A technique for
 * computer detection and correction of spelling errors", CACM 7, 1964). Up to 64 letters each, as names of remotes have.
 */
function slipsBetween(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const differs = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + differs);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
