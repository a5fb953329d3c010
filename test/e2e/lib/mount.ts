import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";

/** Why file systems cannot be mounted here; undefined when they can. */
export function whyNoMounts(): string | undefined {
  return process.getuid?.() === 0 && spawnSync("mount", ["--version"]).status === 0 ? undefined : "not root";
}

/** A tmpfs of its own at `path`; unmounted in the end. */
export function mountTmpfs(path: string, options: string): Disposable {
  mkdirSync(path, { recursive: true });
  const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", options, "none", path], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`mount: ${stderr}`);
  return { [Symbol.dispose]: () => void spawnSync("umount", ["-l", path]) };
}
