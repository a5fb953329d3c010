/** Commands of a lab. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Of one `ip`, `tc` or `pb-netlab` command; each takes milliseconds. */
const COMMAND_TIMEOUT_MS = 30_000;
/** The first build compiles three crates. */
const BUILD_TIMEOUT_MS = 600_000;

/** What to run for a command to be in a network namespace. `nsenter`, unlike `ip netns exec`, leaves mounts alone. */
export function inNamespace(namespace: string, file: string, args: readonly string[]) {
  return { file: "nsenter", args: [`--net=/run/netns/${namespace}`, "--", file, ...args] };
}

/** @returns standard output. @throws Error with what the command said */
export function command(file: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, {
    encoding: "utf8",
    timeout: COMMAND_TIMEOUT_MS,
    ...(input === undefined ? {} : { input }),
  });
  if (status === 0) return stdout;
  const why = stderr?.trim() || error?.message || `status ${status}`;
  throw new Error(`${file} ${args.join(" ")}: ${why}`);
}

/** Lines for `ip -batch`, all in one namespace (or in the caller's). */
export function ipBatch(lines: readonly string[], namespace?: string): void {
  if (lines.length === 0) return;
  const where = namespace === undefined ? [] : ["-n", namespace];
  command("ip", [...where, "-batch", "-"], `${lines.join("\n")}\n`);
}

/** Why no lab can be made here; undefined when one can. */
export function whyNoLab(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  for (const [tool, flag] of [
    ["ip", "-V"],
    ["nsenter", "--version"],
  ] as const) {
    if (spawnSync(tool, [flag]).status !== 0) return `no ${tool}`;
  }
  if (cargo() === undefined) return "no cargo";
  const probe = `pblab-${process.pid}-probe`;
  if (spawnSync("ip", ["netns", "add", probe]).status !== 0)
    return "no permission to make network namespaces";
  spawnSync("ip", ["netns", "del", probe]);
  return undefined;
}

/** rustup's folder is often missing from the PATH of a fresh shell. */
function cargo(): string | undefined {
  const own = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin/cargo");
  return ["cargo", own].find((path) => spawnSync(path, ["--version"]).status === 0);
}

/**
 * Builds `pb-netlab` where its sources changed.
 *
 * @param root the checkout
 * @returns its path
 */
export function buildEmulator(root: string): string {
  const path = cargo();
  if (path === undefined) throw new Error("netlab needs Rust's cargo to build its emulator: see README.md");
  const manifest = join(root, "native/Cargo.toml");
  const args = ["build", "--quiet", "--release", "--manifest-path", manifest, "-p", "pb-netlab"];
  const { status, stderr } = spawnSync(path, args, { encoding: "utf8", timeout: BUILD_TIMEOUT_MS });
  const binary = join(process.env.CARGO_TARGET_DIR ?? join(root, "native/target"), "release/pb-netlab");
  if (status !== 0 || !existsSync(binary)) throw new Error(`netlab: its emulator did not build: ${stderr}`);
  return binary;
}
