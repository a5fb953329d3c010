import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes, randomIntegers } from "../../test/e2e/lib/random.ts";
import type { Scenario } from "../scenario.ts";

/** Files of 1 to 8 KiB in folders of 100. */
const PER_FOLDER = 100;

export const small: Scenario = {
  name: "small",
  title: "10,000 small files (1 to 8 KiB) over loopback (--quick: 1,000)",
  peers: ["pb", "pb-tcp", "scp"],
  spaceBytes: () => 512 * 2 ** 20,
  prepare: async (folder, quick) => {
    const path = join(folder, "tree");
    const files = quick ? 1000 : 10_000;
    const pick = randomIntegers("small");
    let bytes = 0;
    for (let n = 0; n < files; n += 1) {
      const parent = join(path, `d${Math.floor(n / PER_FOLDER)}`);
      if (n % PER_FOLDER === 0) await mkdir(parent, { recursive: true });
      const size = 1024 + pick(7 * 1024);
      bytes += size;
      await writeFile(join(parent, `f${n}`), randomBytes(n, size));
    }
    return { path, kind: "folder", bytes, files, unit: "files/s" };
  },
};
