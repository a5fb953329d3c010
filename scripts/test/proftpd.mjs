/**
 * proftpd for the tests of FTP. Debian's package conflicts with vsftpd's, so it is unpacked into the checkout's cache and not
 * installed; test/servers/proftpd.ts looks there.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT, run } from "../lib/tools.mjs";

/** Where it is unpacked; below it as it would be below "/". */
export const PROFTPD = join(ROOT, ".cache/tools/proftpd");

/** With the libraries that a machine without it does not have either. */
const PACKAGES = [
  "proftpd-core",
  "proftpd-mod-crypto",
  "libhashkit2",
  "libhiredis0.14",
  "libmemcached11",
  "libmemcachedutil2",
  "libpcre2-posix3",
  "libsodium23",
];

export function hasProftpd() {
  return existsSync(join(PROFTPD, "usr/sbin/proftpd"));
}

/** Needs Debian's apt-get and dpkg, no rights; true when it is there afterwards. */
export function unpackProftpd() {
  if (hasProftpd()) return true;
  const staging = `${PROFTPD}-${process.pid}`;
  mkdirSync(staging, { recursive: true });
  const quiet = { cwd: staging, timeout: 120_000, stdio: ["ignore", "ignore", "ignore"] };
  try {
    if (run("apt-get", ["download", "-qq", ...PACKAGES], quiet) !== 0) return false;
    for (const name of readdirSync(staging).filter((file) => file.endsWith(".deb"))) {
      if (run("dpkg", ["-x", name, "."], quiet) !== 0) return false;
      rmSync(join(staging, name));
    }
    rmSync(PROFTPD, { recursive: true, force: true });
    renameSync(staging, PROFTPD);
    return true;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}
