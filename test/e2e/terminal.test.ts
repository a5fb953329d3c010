import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { PB, run } from "./lib/process.ts";
import { writeRandomFile } from "./lib/random.ts";
import { Screen } from "./lib/screen.ts";

/** A transfer started on a real terminal (util-linux's script makes one), captured as it was drawn, and the same when piped. */
let pair: Pair;

beforeAll(async () => {
  pair = await startPair();
  await writeRandomFile(pair.scratch.at("source-file-with-a-rather-long-name.bin"), 24 << 20, "terminal");
});

afterAll(() => pair?.[Symbol.asyncDispose]());

/** Where a new drawing begins: the cursor is hidden, or goes up to the first line of the block. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a terminal is told by
const FRAME = /(?=\x1b\[\?25l|\r\x1b\[\d+A)/;

const command = (target: string) =>
  `'${PB}' cp --limit 8M source-file-with-a-rather-long-name.bin 'box:/a/destination/folder/${target}'`;

/** Runs a shell command on a terminal of so many columns; what it wrote there. */
async function onTerminal(columns: number, shell: string): Promise<string> {
  const inside = `stty cols ${columns} rows 24 && ${shell}`;
  const env = { PB_HOME: pair.home, TERM: "xterm-256color", SHELL: "/bin/sh", NO_COLOR: "" };
  const result = await run("script", ["-qefc", inside, "/dev/null"], { env, cwd: pair.scratch.path });
  expect({ code: result.code, stdout: result.stdout }).toMatchObject({ code: 0 });
  return result.stdout;
}

describe.skipIf(spawnSync("script", ["--version"]).status !== 0)("on a terminal (needs script)", () => {
  test.each([80, 120])(
    "%i columns: nothing wraps, progress and the network are shown, the end is clean",
    async (columns) => {
      const captured = await onTerminal(columns, command(`t${columns}`));
      const screen = new Screen(columns);
      const seen: string[] = [];
      for (const piece of captured.split(FRAME)) {
        screen.write(piece);
        seen.push(screen.lines().join("\n"));
      }
      expect(screen.wraps).toBe(0);
      expect(screen.unknown).toEqual([]);
      const middle = seen[Math.floor(seen.length / 2)] ?? "";
      expect(middle).toMatch(/sour.*→.*box:/);
      expect(middle).toMatch(/━+─* +\d+%/);
      expect(middle).toMatch(/MiB.*\/s.*ETA/);
      expect(middle).toMatch(/network +(udp|tcp) sealed/);
      expect(middle).toMatch(/RTT.*loss/s);
      expect(screen.cursorHidden).toBe(false);
      const last = screen.lines().join("\n");
      expect(last).not.toMatch(/ETA|━/);
      expect(last).toMatch(/done +24\.0 MiB in 1 file/);
    },
  );
});

test("piped: plain lines, no escape sequences, nothing on standard output", async () => {
  const env = { PB_HOME: pair.home, NO_COLOR: "" };
  const result = await run("sh", ["-c", command("piped")], { env, cwd: pair.scratch.path });
  expect(result.code).toBe(0);
  expect(result.stdout).toBe("");
  for (const control of ["\x1b", "\r"]) expect(result.stderr).not.toContain(control);
  expect(result.stderr).toMatch(/%, .*\/s, ETA .*; network: (udp|tcp) sealed/);
  expect(result.stderr).toMatch(/done +24\.0 MiB in 1 file/);
});
