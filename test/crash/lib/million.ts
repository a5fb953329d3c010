/** Very many small files: killed half-way, client and then server, and gone on with; what that costs is measured. */
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { mustPass, pb } from "../../e2e/harness.ts";
import { randomBytes } from "../../e2e/lib/random.ts";
import { scratch } from "../../e2e/lib/scratch.ts";
import { type Server, startServer } from "../../e2e/lib/server.ts";
import { leftovers } from "../../e2e/lib/tree.ts";
import { type Followed, follow } from "./follow.ts";
import { openedFiles, tracedBy, tracer } from "./opens.ts";

export interface MillionOptions {
  readonly files: number;
  /** Count the files that either side opens in the last run; needs strace, and makes that run slower. */
  readonly trace: boolean;
  readonly say: (line: string) => void;
}

const PER_FOLDER = 1_000;
const FILE_BYTES = 100;
/** What a person waits before a resumed job is seen to go on. */
const MAX_START_MS = 5_000;
/** Of resident memory while files go by: a file's record in memory is some 30 bytes, its key and hash when it is resumed 100. */
const MAX_BYTES_PER_FILE = 200;
const SLACK_BYTES = 48 * 2 ** 20;

/** Lines for what is not as it should be. */
export async function million({ files, trace, say }: MillionOptions): Promise<string[]> {
  const violations: string[] = [];
  await using folder = scratch("/dev/shm");
  const [source, root, state, home] = ["from", "root", "state", "home"].map((name) => folder.at(name));
  if (!source || !root || !state || !home) throw new TypeError("four folders");
  makeFiles(source, files);
  mkdirSync(root);
  const serve = (launcher: readonly string[] = [], listen?: string): Promise<Server> =>
    startServer({ roots: [root], state, launcher, ...(listen === undefined ? {} : { listen }) });
  let server = await serve();
  const words = ["cp", "--output", "jsonl", "--retries", "0", source, "box:/to"];
  const target = join(root, "to");
  const check = (run: Followed, what: string) => {
    say(`${what}: ${describe(run)}`);
    violations.push(...judge(run, files).map((line) => `${what}: ${line}`));
  };
  try {
    const add = ["remote", "add", "box", server.invite ?? ""];
    mustPass(add, await pb(add, { home }));

    const begun = await follow({ words, home, server, stopAt: files / 2 });
    check(begun, "first run, its client killed");
    const there = standing(target);

    const resumed = await follow({
      words,
      home,
      server,
      stopAt: (files * 3) / 4,
      stop: () => server.kill(),
    });
    check(resumed, `second run, with ${there.size} files there, its server killed`);
    const known = standing(target);

    const logs = trace
      ? { client: folder.at("client.strace"), server: folder.at("server.strace") }
      : undefined;
    server = await serve(logs ? tracer(logs.server) : [], server.address);
    const launcher = logs ? tracer(logs.client) : [];
    const last = await follow({ words, home, server, launcher });
    check(last, `third run, with ${known.size} files there${trace ? ", both traced" : ""}`);
    violations.push(...ended(last, files), ...differences(source, target, files));
    for (const name of await leftovers(root)) violations.push(`left behind: ${name}`);
    if (logs) {
      endTraced(server);
      await server[Symbol.asyncDispose]();
      for (const [side, log] of Object.entries(logs)) {
        const opened = openedFiles(await readFile(log, "latin1"));
        const again = [...opened].filter((name) => known.has(name));
        say(`the ${side} opened ${opened.size} files, of those that were there ${again.length}`);
        if (again.length > 0)
          violations.push(`the ${side} opened ${again.length} files that were there, ${again[0]}`);
        // Copies are written under temporary names; sources have only their own.
        if (side === "client" && opened.size < files - known.size)
          violations.push("the client's trace has lost calls");
      }
    }
  } finally {
    endTraced(server);
    await server[Symbol.asyncDispose]();
  }
  return violations;
}

/** A tracer that is killed lets go of what it traces. */
function endTraced({ pid }: Server): void {
  try {
    process.kill(tracedBy(pid), "SIGKILL");
  } catch {
    // It has ended.
  }
}

function describe({ startMs, firstNewMs, seconds, files, memory }: Followed): string {
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  const resident = (["client", "server"] as const).map((side) => {
    const { first, last, peak } = memory[side];
    return `${side} ${mib(first)} to ${mib(last)} MiB (most ${mib(peak)})`;
  });
  const began = `begun after ${ms(startMs)}, first new file after ${ms(firstNewMs)}`;
  return `${began}, ${files} files known after ${seconds.toFixed(1)} s; resident: ${resident.join(", ")}`;
}

function ms(value: number | undefined): string {
  return value === undefined ? "never" : `${(value / 1_000).toFixed(2)} s`;
}

function judge({ startMs, memory }: Followed, files: number): string[] {
  const lines: string[] = [];
  if (startMs === undefined) lines.push("it never began");
  else if (startMs > MAX_START_MS) lines.push(`it began after ${ms(startMs)}`);
  for (const side of ["client", "server"] as const) {
    const grown = memory[side].last - memory[side].first;
    const allowed = SLACK_BYTES + files * MAX_BYTES_PER_FILE;
    if (grown > allowed) lines.push(`the ${side}'s memory grew by ${grown} bytes, over ${allowed}`);
  }
  return lines;
}

function ended({ receipt, code }: Followed, files: number): string[] {
  if (receipt === undefined) return [`it ended with ${code} and without a receipt`];
  const { state, redoneFiles, skippedFiles } = receipt;
  const lines = state === "done" ? [] : [`it ended ${state}`];
  if (redoneFiles > 0) lines.push(`${redoneFiles} files were begun anew`);
  if (receipt.files + skippedFiles !== files)
    lines.push(`${receipt.files} and ${skippedFiles} files of ${files}`);
  return lines;
}

const nameOf = (number: number) => `f${number}`;
const folderOf = (number: number) => `d${Math.floor(number / PER_FOLDER)}`;

function makeFiles(top: string, files: number): void {
  const block = randomBytes("million", 1 << 16);
  for (let number = 0; number < files; number += 1) {
    const folder = join(top, folderOf(number));
    if (number % PER_FOLDER === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, nameOf(number)), content(block, number));
  }
}

/** Each its own. */
function content(block: Buffer, number: number): Buffer {
  const at = (number * 61) % (block.length - FILE_BYTES);
  const bytes = Buffer.from(block.subarray(at, at + FILE_BYTES));
  bytes.writeUInt32BE(number);
  return bytes;
}

/** Names of the files that have their final name. */
function standing(top: string): Set<string> {
  const all = readdirSync(top, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const names = all.flatMap(({ name }) => readdirSync(join(top, name)));
  return new Set(names.filter((name) => !name.endsWith(".part")));
}

function differences(source: string, target: string, files: number): string[] {
  const block = randomBytes("million", 1 << 16);
  for (let number = 0; number < files; number += 1) {
    const [from, to] = [source, target].map((top) => join(top, folderOf(number), nameOf(number)));
    try {
      if (!readFileSync(to ?? "").equals(content(block, number))) return [`${to} is not its source`];
      if (lstatSync(to ?? "").mtimeMs !== lstatSync(from ?? "").mtimeMs) return [`${to} has another time`];
    } catch (error) {
      return [`${to}: ${error instanceof Error ? error.message : String(error)}`];
    }
  }
  return [];
}
