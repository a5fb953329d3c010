import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** Made by the kernel at boot (random(4)); containers of one kernel share it, and its device and inode numbers. */
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

let known: string | undefined;

/** See SessionPeer.hostId. Hashed, so that clients learn nothing but whether it is theirs; "" where there is none. */
export function hostId(): string {
  known ??= read();
  return known;
}

function read(): string {
  try {
    return createHash("sha256")
      .update("packetboat host ")
      .update(readFileSync(BOOT_ID, "utf8").trim())
      .digest("hex");
  } catch {
    return "";
  }
}
