import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The program under test; PB_BIN names another one (the packaging test's installed copy). */
export const PB = process.env.PB_BIN ?? fileURLToPath(new URL("../../../bin/pb", import.meta.url));

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input; else it is empty. */
  readonly stdin?: string | Uint8Array;
  /** SIGKILL after this, and the run is an error. Default 100 s. */
  readonly timeoutMs?: number;
  /** Runs in this network namespace. */
  readonly namespace?: string;
  /** A program and its arguments that run the command given after them: a tracer. */
  readonly launcher?: readonly string[];
}

export interface RunResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Largest resident set seen, bytes (VmHWM, sampled ten times a second). */
  readonly peakBytes: number;
}

/** Runs to its end. A non-zero exit is a result, not an error. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const child = start(command, args, options);
  let peakBytes = 0;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, peakResident(child.pid));
  }, 100);
  const killer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 100_000);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.stdin ?? "");
  try {
    const [code, signal] = await exited(child);
    return { code, signal, stdout: await stdout, stderr: await stderr, peakBytes };
  } finally {
    clearInterval(sampler);
    clearTimeout(killer);
  }
}

/** Starts with pipes on all three streams. */
export function start(command: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
  const inside = options.namespace === undefined ? [] : ["ip", "netns", "exec", options.namespace];
  const [file = command, ...rest] = [...inside, ...(options.launcher ?? []), command, ...args];
  return spawn(file, rest, {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

export function exited(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve([child.exitCode, child.signalCode]);
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve([code, signal]));
  });
}

async function collect(stream: NodeJS.ReadableStream | null): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream ?? []) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString("utf8");
}

/** VmHWM in bytes; 0 when the process is gone. */
export function peakResident(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls until the condition holds. */
export async function until(what: string, condition: () => boolean, timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await sleep(20);
  }
}
