import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";

/** Servers live in sbin, which is not on everyone's PATH. */
const SYSTEM = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/** The program's full path; undefined when it is not installed. */
export function find(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM];
  return folders.map((folder) => join(folder, program)).find(existsSync);
}

/** For `Peer.whyNot`: names the Debian package of the first program that is missing. */
export function missing(programs: Readonly<Record<string, string>>): string | undefined {
  const absent = Object.keys(programs).find((program) => find(program) === undefined);
  return absent === undefined ? undefined : `${programs[absent]} is not installed (bench/install-peers.sh)`;
}

export const asRoot = process.getuid?.() === 0;

/** Free now, in this process's namespace; others may take it before it is used. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
