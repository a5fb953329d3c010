/** Programs that some tests use; without one those tests are shown as skipped. */
import { existsSync } from "node:fs";
import { run, say } from "../lib/tools.mjs";

const OPTIONAL = [
  { program: "ip", debian: "iproute2" },
  { program: "nft", debian: "nftables" },
  { program: "strace", debian: "strace" },
  { program: "scp", debian: "openssh-client" },
  { program: "sshd", debian: "openssh-server" },
];

function has(program) {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(`${folder}/${program}`));
}

/** Installs what is missing where that is possible: Debian, as root. */
export function installOptionalTools() {
  const missing = OPTIONAL.filter(({ program }) => !has(program));
  if (missing.length === 0) return;
  if (process.getuid?.() === 0 && has("apt-get")) {
    const packages = missing.map(({ debian }) => debian);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const options = { env, timeout: 180_000, stdio: ["ignore", "ignore", "ignore"] };
    run("apt-get", ["update", "-qq"], options);
    run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], options);
  }
  const absent = missing.filter(({ program }) => !has(program)).map(({ program }) => program);
  if (absent.length > 0)
    say(`tools: not here and not installable: ${absent.join(", ")}; tests that need them are skipped`);
}
