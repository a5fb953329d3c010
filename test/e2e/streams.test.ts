/** A standard stream whose server goes away: it can be moved once, so it fails, and says so. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { exited, PB, start, until } from "./lib/process.ts";
import { untilPartial } from "./lib/running.ts";
import { type Server, startServer } from "./lib/server.ts";
import { leftovers } from "./lib/tree.ts";

const MIB = 1 << 20;
let restarted: Server | undefined;
afterEach(() => restarted?.[Symbol.asyncDispose]());

/** The same server again, after it was killed as by a lack of memory. */
async function restart({ server, root, state }: Pair): Promise<void> {
  await server.kill();
  restarted = await startServer({ roots: [root], state, listen: server.address });
}

function begin(pair: Pair, ...words: string[]) {
  const args = ["transfer", "--memory", "8M", "--limit", "8M", ...words];
  const child = start(PB, args, { env: { PB_HOME: pair.home }, cwd: pair.scratch.path });
  const got = { stdout: [] as Buffer[], stderr: "" };
  child.stdout?.on("data", (chunk: Buffer) => got.stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => {
    got.stderr += chunk.toString("utf8");
  });
  child.stdin?.on("error", () => {});
  return { child, got };
}

test("input is not taken for whole when the rest of it has come to a server that was started anew", async () => {
  await using pair = await startPair();
  await writeFile(join(pair.root, "file"), "before");
  const { child, got } = begin(pair, "-", "box:/file");
  child.stdin?.write(Buffer.alloc(4 * MIB, "x"));
  await untilPartial(pair.root);
  await restart(pair);
  child.stdin?.end("the rest");
  const [code] = await exited(child);
  expect([code, got.stderr]).toEqual([5, expect.stringContaining("standard input can't be read again")]);
  expect(await readFile(join(pair.root, "file"), "utf8")).toBe("before");
  // The killed server's part goes with the next that comes.
  expect(await leftovers(pair.root)).toHaveLength(1);
  await pair.ok(["transfer", "-", "box:/file"], { stdin: "whole" });
  expect(await leftovers(pair.root)).toEqual([]);
  expect(await readFile(join(pair.root, "file"), "utf8")).toBe("whole");
});

test("output is not begun anew behind what was written", async () => {
  await using pair = await startPair();
  const content = Buffer.alloc(32 * MIB, "what goes in one end comes out of the other\n");
  await writeFile(join(pair.root, "large"), content);
  const { child, got } = begin(pair, "box:/large", "-");
  child.stdin?.end();
  await until("a megabyte", () => Buffer.concat(got.stdout).length > MIB);
  await restart(pair);
  const [code] = await exited(child);
  const written = Buffer.concat(got.stdout);
  expect([code, got.stderr]).toEqual([5, expect.stringContaining("standard output can't be taken back")]);
  expect(written.length).toBeLessThan(content.length);
  expect(written.equals(content.subarray(0, written.length))).toBe(true);
});
