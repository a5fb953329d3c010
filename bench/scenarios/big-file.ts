import { join } from "node:path";
import { writeRandomFile } from "../../test/e2e/lib/random.ts";
import type { WorkScenario } from "../scenario.ts";
import type { Size } from "../work.ts";

const mebibytes = ({ quick }: Size) => (quick ? 256 : 2048);

const bigFile = (about: Pick<WorkScenario, "name" | "peers" | "chart">): WorkScenario => ({
  ...about,
  endurance: false,
  spaceBytes: (size) => mebibytes(size) * 2 ** 20 * 2,
  prepare: async (folder, size) => {
    const path = join(folder, "big.bin");
    const bytes = mebibytes(size) * 2 ** 20;
    await writeRandomFile(path, bytes, "lan");
    return {
      title: `one file of ${mebibytes(size)} MiB`,
      path,
      kind: "file",
      bytes,
      files: 1,
      unit: "Gbit/s",
    };
  },
});

const EVERYONE = ["globus", "rsync", "curl", "aria2", "rclone", "scp", "cp"];

export const lan = bigFile({
  name: "lan",
  peers: [
    ...["pb", "pb-udp", "pb-tcp", "pb-clear", "pb-udp-clear", "pb-tcp-clear"],
    ...["pb-discard", "pb-clear-discard"],
    ...EVERYONE,
  ],
  chart: "rate",
});

/** The same file; what counts is the processor time of both sides together. */
export const cpu = bigFile({
  name: "cpu",
  peers: ["pb-udp", "pb-tcp", "pb-udp-clear", "pb-tcp-clear", ...EVERYONE],
  chart: "cpu",
});
