import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomBytes, randomIntegers } from "../../test/e2e/lib/random.ts";
import type { WorkScenario } from "../scenario.ts";
import type { Size, Work } from "../work.ts";

const PER_FOLDER = 100;

interface Tree {
  readonly seed: string;
  readonly files: number;
  readonly minBytes: number;
  readonly maxBytes: number;
}

/** Sizes are spread evenly; contents are pieces of one random block that start anywhere, so that hardly two are equal. */
export function makeTree(path: string, { seed, files, minBytes, maxBytes }: Tree): Work {
  const pick = randomIntegers(seed);
  const block = randomBytes(seed, 1 << 20);
  let bytes = 0;
  for (let n = 0; n < files; n += 1) {
    const parent = join(path, `d${Math.floor(n / PER_FOLDER)}`);
    if (n % PER_FOLDER === 0) mkdirSync(parent, { recursive: true });
    const size = minBytes + pick(maxBytes - minBytes + 1);
    const start = pick(block.length - size);
    writeFileSync(join(parent, `f${n}`), block.subarray(start, start + size));
    bytes += size;
  }
  const title = `${files.toLocaleString("en")} files of ${minBytes} to ${maxBytes} bytes`;
  return { title, path, kind: "folder", bytes, files, unit: "files/s" };
}

const filesOfSmall = ({ quick }: Size) => (quick ? 1000 : 10_000);

export const small: WorkScenario = {
  name: "small",
  peers: ["pb", "pb-udp", "pb-tcp", "pb-clear", "rsync", "globus-4", "rclone", "scp", "cp"],
  chart: "rate",
  endurance: false,
  spaceBytes: (size) => filesOfSmall(size) * 24_576 * 2,
  prepare: async (folder, size) =>
    makeTree(join(folder, "tree"), {
      seed: "small",
      files: filesOfSmall(size),
      minBytes: 1000,
      maxBytes: 20_000,
    }),
};

const filesOfMany = ({ quick, full }: Size) => (quick ? 10_000 : full ? 1_000_000 : 100_000);

export const many: WorkScenario = {
  name: "many",
  peers: ["pb", "rsync", "rclone", "cp"],
  chart: "rate",
  endurance: true,
  // A page of content and what the file system keeps for each.
  spaceBytes: (size) => filesOfMany(size) * 6144 * 2,
  prepare: async (folder, size) =>
    makeTree(join(folder, "tree"), { seed: "many", files: filesOfMany(size), minBytes: 200, maxBytes: 4000 }),
};
