import { readFile } from "node:fs/promises";
import { type LocalCheck, ok, skipped, warn } from "./check.ts";

/** 10 Gbit/s for 13 ms: what arrives while a receiving thread is not scheduled. */
const WANTED_BYTES = 16 * 1024 * 1024;
const SYSCTLS = ["net.core.rmem_max", "net.core.wmem_max"] as const;

/** How large a UDP socket's buffers may be; the default of most distributions (208 KiB) loses datagrams above 1 Gbit/s. */
export const buffers: LocalCheck = {
  name: "socket buffers",
  async run() {
    const limits = await Promise.all(SYSCTLS.map(readSysctl));
    if (limits.includes(undefined)) return skipped("the kernel does not say (/proc/sys/net/core)");
    const detail = SYSCTLS.map((name, at) => `${name} ${limits[at]}`).join(", ");
    const low = SYSCTLS.filter((_, at) => (limits[at] ?? 0) < WANTED_BYTES);
    if (low.length === 0) return ok(detail);
    return warn(detail, `sysctl -w ${low.map((name) => `${name}=${WANTED_BYTES}`).join(" ")}`);
  },
};

async function readSysctl(name: string): Promise<number | undefined> {
  const text = await readFile(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").catch(() => undefined);
  return text === undefined ? undefined : Number(text);
}
