/** What is transferred. */
import { chmod, mkdir, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes, writeRandomFile } from "../../e2e/lib/random.ts";
import { makeSparseFile, makeTree } from "../../e2e/lib/tree.ts";

const MIB = 1 << 20;

export interface Workload {
  readonly name: "small" | "large" | "many";
  /** Options of `pb transfer` that make it what it is. */
  readonly args: readonly string[];
  /** Makes the source tree. @param outside a folder of somebody else, which a link in the tree may name */
  make(path: string, outside: string): Promise<void>;
  /** What the destination holds before. */
  before(path: string): Promise<void>;
}

/** Past, and with nanoseconds that get lost where times are handled carelessly. */
const MTIME_SECONDS = 1_234_567_890.123456;

async function smallJob(path: string, outside: string): Promise<void> {
  await mkdir(join(path, "sub"), { recursive: true });
  await mkdir(join(path, "empty"));
  await writeRandomFile(join(path, "large"), 3 * MIB + 12_345, "large");
  await chmod(join(path, "large"), 0o640);
  await writeFile(join(path, "replaced"), randomBytes("replaced, new", 3_000));
  await makeSparseFile(join(path, "sub/sparse"), 4 * MIB);
  await symlink(outside, join(path, "sub/link"));
  for (const name of ["large", "replaced", "sub/sparse"]) {
    await utimes(join(path, name), MTIME_SECONDS, MTIME_SECONDS);
  }
}

/** Three files: one of many chunks, a small one that replaces an older one, one with a hole in a folder; a link, an empty folder. */
export const small: Workload = {
  name: "small",
  args: ["--chunk", "64K"],
  make: smallJob,
  before: async (path) => {
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "replaced"), randomBytes("replaced, old", 5_000));
    // Older than what comes, for `--overwrite if-newer`.
    await utimes(join(path, "replaced"), MTIME_SECONDS - 1_000, MTIME_SECONDS - 1_000);
  },
};

/** Two files whose chunks are under way for a second and more. */
export const large = (bytes = 384 * MIB): Workload => ({
  name: "large",
  args: [],
  make: async (path) => {
    await mkdir(path, { recursive: true });
    await writeRandomFile(join(path, "one"), Math.floor(bytes * 0.8), "one");
    await writeRandomFile(join(path, "two"), Math.ceil(bytes * 0.2), "two");
  },
  before: async () => {},
});

export const many = (files = 4_000): Workload => ({
  name: "many",
  args: [],
  make: (path) => makeTree(path, { files, seed: "crash" }),
  before: async () => {},
});
