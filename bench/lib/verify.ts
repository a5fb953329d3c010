import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

const PIECE_BYTES = 1 << 20;
const [left, right] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)];

/** The first thing in which a copy is not the original (names, kinds, sizes, every byte); undefined when they are equal. */
export function firstDifference(original: string, copy: string): string | undefined {
  const [a, b] = [original, copy].map((path) => lstatSync(path, { throwIfNoEntry: false }));
  if (b === undefined) return `${copy} is missing`;
  if (a?.isDirectory() && b.isDirectory()) {
    const [expected, found] = [readdirSync(original).sort(), readdirSync(copy).sort()];
    if (expected.join("/") !== found.join("/")) {
      return `${copy} has ${found.length} entries, not the ${expected.length} it should have`;
    }
    for (const name of expected) {
      const difference = firstDifference(join(original, name), join(copy, name));
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  if (!a?.isFile() || !b.isFile()) return `${copy} is of another kind`;
  return sameBytes(original, copy);
}

function sameBytes(original: string, copy: string): string | undefined {
  const [a, b] = [openSync(original, "r"), openSync(copy, "r")];
  try {
    const { size } = fstatSync(a);
    if (fstatSync(b).size !== size) return `${copy} has ${fstatSync(b).size} bytes, not ${size}`;
    for (let at = 0; at < size; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, size - at);
      fill(a, left, { at, length });
      fill(b, right, { at, length });
      if (left.compare(right, 0, length, 0, length) !== 0) return `${copy} differs after byte ${at}`;
    }
    return undefined;
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

function fill(
  file: number,
  buffer: Buffer,
  { at, length }: { readonly at: number; readonly length: number },
) {
  for (let got = 0; got < length; ) {
    const read = readSync(file, buffer, got, length - got, at + got);
    if (read === 0) throw new Error(`a file lost its end at ${at + got} while it was compared`);
    got += read;
  }
}

/** When each file below a folder got its final state (ctime, which nobody can set), milliseconds. */
export function finishTimes(folder: string): number[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? finishTimes(path) : [lstatSync(path).ctimeMs];
  });
}
