/** `pb-killpoint` (native/): runs a program, counts its system calls that change something, kills it at the N-th. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The first build compiles thiserror, too. */
const BUILD_TIMEOUT_MS = 600_000;
/** What the shell, and `pb-killpoint`, say for SIGKILL. */
export const KILLED = 137;

/** A system call that changes something, as it was about to be made. */
export interface Point {
  /** From 1, over all threads. */
  readonly number: number;
  readonly thread: string;
  readonly call: string;
  /** A path, two paths, or a socket. */
  readonly target: string;
}

export interface KillpointOptions {
  /** At the entry of this call; absent: none. */
  readonly kill?: number;
  /** Counts from SIGUSR1 on. */
  readonly armed?: boolean;
  /** Where the counted calls are written. */
  readonly log?: string;
}

let binary: string | undefined;

/** This module, or the bundle that scripts/run-ts.mjs made of it. */
function checkout(): string {
  const here = fileURLToPath(import.meta.url);
  return /^(.*?)\/(test\/crash|\.cache\/run-\d+)\//.exec(here)?.[1] ?? process.cwd();
}

/** rustup's folder is often missing from the PATH of a fresh shell. */
function cargo(): string | undefined {
  const own = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin/cargo");
  return ["cargo", own].find((path) => spawnSync(path, ["--version"]).status === 0);
}

/** Why it cannot run here; undefined when it can, and is built. */
export function whyNoKillpoint(root: string = checkout()): string | undefined {
  if (binary !== undefined) return undefined;
  const program = cargo();
  if (program === undefined) return "no cargo";
  const manifest = join(root, "native/Cargo.toml");
  const args = ["build", "--quiet", "--release", "--manifest-path", manifest, "-p", "pb-killpoint"];
  const built = spawnSync(program, args, { encoding: "utf8", timeout: BUILD_TIMEOUT_MS });
  if (built.status !== 0)
    throw new Error(`pb-killpoint was not built:\n${built.stderr ?? String(built.error)}`);
  const path = join(process.env.CARGO_TARGET_DIR ?? join(root, "native/target"), "release/pb-killpoint");
  const probe = spawnSync(path, ["--", "true"], { encoding: "utf8" });
  if (probe.status !== 0) return `no permission to trace: ${probe.stderr.trim()}`;
  binary = path;
  return undefined;
}

/** A launcher (`RunOptions.launcher`) for the program to be traced. */
export function killpoint(options: KillpointOptions = {}): string[] {
  if (binary === undefined) throw new Error("whyNoKillpoint() was not asked, or said no");
  const words = [binary];
  if (options.kill !== undefined) words.push("--kill", String(options.kill));
  if (options.armed) words.push("--armed");
  if (options.log !== undefined) words.push("--log", options.log);
  return [...words, "--"];
}

export function readPoints(log: string): Point[] {
  const lines = readFileSync(log, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => {
    const [number = "", , thread = "", call = "", target = ""] = line.split("\t");
    return { number: Number(number), thread, call, target };
  });
}

/** For a person: what was never done. */
export function describePoint(point: Point, base: string): string {
  return `call ${point.number}: ${point.call} ${point.target.replaceAll(base, "")} (${point.thread})`;
}
