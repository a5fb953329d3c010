import { join } from "node:path";
import { writeRandomFile } from "../../test/e2e/lib/random.ts";
import type { Scenario } from "../scenario.ts";

const bytesOf = (quick: boolean) => (quick ? 256 : 2048) * 2 ** 20;

export const lan: Scenario = {
  name: "lan",
  title: "one 2 GiB file over loopback (--quick: 256 MiB)",
  peers: ["pb", "pb-tcp", "pb-clear", "pb-tcp-clear", "scp"],
  spaceBytes: (quick) => bytesOf(quick) * 2,
  prepare: async (folder, quick) => {
    const path = join(folder, "big.bin");
    const bytes = bytesOf(quick);
    await writeRandomFile(path, bytes, "lan");
    return { path, kind: "file", bytes, files: 1, unit: "Gbit/s" };
  },
};
