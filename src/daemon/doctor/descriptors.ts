import { readFile } from "node:fs/promises";
import { type LocalCheck, ok, skipped, warn } from "./check.ts";

/** Files in flight, folders being walked, lanes, and as much again for several jobs. */
const WANTED = 4096;

export const descriptors: LocalCheck = {
  name: "descriptors",
  async run() {
    const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
    const [, soft, hard] = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(limits) ?? [];
    if (soft === undefined) return skipped("the kernel does not say (/proc/self/limits)");
    const detail = `${soft} open files (hard limit ${hard})`;
    if (soft === "unlimited" || Number(soft) >= WANTED) return ok(detail);
    return warn(detail, `ulimit -n ${WANTED} (of a service: LimitNOFILE=${WANTED})`);
  },
};
