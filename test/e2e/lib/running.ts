import type { ChildProcess } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Pair, PbResult } from "../harness.ts";
import { exited, PB, sleep, start } from "./process.ts";
import { leftovers } from "./tree.ts";

/** A `pb` under way, and what it ended with. */
export interface Running {
  readonly child: ChildProcess;
  /** What it said on standard error so far. */
  stderr(): string;
  end(): Promise<PbResult>;
}

export function begin(
  pair: Pair,
  args: readonly string[],
  { home = pair.home, env = {} }: { home?: string; env?: Readonly<Record<string, string>> } = {},
): Running {
  const child = start(PB, args, { env: { ...env, PB_HOME: home }, cwd: pair.scratch.path });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("utf8");
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  child.stdin?.end();
  const end = async (): Promise<PbResult> => {
    const [code, signal] = await exited(child);
    return { code, signal, stdout, stderr, peakBytes: 0, json: () => JSON.parse(stdout) };
  };
  return { child, stderr: () => stderr, end };
}

/** What a receiver has of files while they are not whole: bytes allocated for temporary names below a folder. */
export async function partialBytes(folder: string): Promise<number> {
  const names = await leftovers(folder).catch(() => []);
  const sizes = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)));
  return sizes.reduce((sum, found) => sum + (found?.blocks ?? 0) * 512, 0);
}

export async function untilPartial(folder: string, atLeast = 256 << 10): Promise<void> {
  await untilTrue(
    `${atLeast} bytes of a part below ${folder}`,
    async () => (await partialBytes(folder)) > atLeast,
  );
}

/** Like `until`, for a condition that must be waited for; asked again when it has answered. */
export async function untilTrue(
  what: string,
  condition: () => Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition().catch(() => false))) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await sleep(50);
  }
}
