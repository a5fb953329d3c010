/** A transfer that was cut off goes on where it was: on either way, whoever went, whatever changed meanwhile. */

import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { expectError } from "./lib/assert.ts";
import { sha256OfFile, writeRandomFile } from "./lib/random.ts";
import { begin, untilPartial, untilTrue } from "./lib/running.ts";
import { type Server, startServer } from "./lib/server.ts";
import { differences, leftovers, makeTree } from "./lib/tree.ts";

const MIB = 1 << 20;
const SIZE = 48 * MIB;
/** Slow enough to be cut off in the middle, with little buffered. */
const SLOWLY = ["--limit", "8M", "--memory", "8M"];
/** By then a second has gone since the first bytes: something is durable. */
const ENOUGH = 16 * MIB;

interface Receipt {
  readonly jobId: string;
  readonly state: string;
  readonly bytes: number;
  readonly bytesSent: number;
  readonly files: number;
  readonly resumedBytes: number;
  readonly resumedFiles: number;
  readonly redoneFiles: number;
  readonly redone: readonly { readonly path: string; readonly reason: string }[];
  readonly attempts: number;
  readonly removedSources: number;
  readonly skippedFiles: number;
}

type Way = "up" | "down";

/** A large file on one side, and where it is to go on the other. */
interface Case {
  readonly pair: Pair;
  readonly source: string;
  /** The words of the transfer. */
  readonly words: readonly string[];
  /** The file that is to be there. */
  readonly target: string;
}

async function makeCase(pair: Pair, way: Way, bytes = SIZE): Promise<Case> {
  const here = pair.scratch.at("here", "file");
  const there = join(pair.root, "in", "file");
  for (const file of [here, there]) await mkdir(dirname(file), { recursive: true });
  const [source, target] = way === "up" ? [here, there] : [there, here];
  await writeRandomFile(source, bytes, `resume ${way}`);
  const words = way === "up" ? [here, "box:/in/file"] : ["box:/in/file", here];
  return { pair, source, words, target };
}

async function cutOff(
  { pair, words, target }: Case,
  how: "SIGINT" | "SIGKILL",
  ...more: string[]
): Promise<void> {
  const run = begin(pair, ["cp", "--json", ...SLOWLY, ...more, ...words]);
  await untilPartial(dirname(target), ENOUGH);
  run.child.kill(how);
  const result = await run.end();
  expect(result.code ?? result.signal).toBe(how === "SIGINT" ? 130 : "SIGKILL");
  if (how === "SIGINT") expect(result.json<Receipt>().state).toBe("paused");
}

async function goesOn(given: Case, ...more: string[]): Promise<Receipt> {
  const { pair, words, source, target } = given;
  const receipt = (await pair.ok(["cp", "--json", ...more, ...words])).json<Receipt>();
  expect(receipt.state).toBe("done");
  expect(await sha256OfFile(target)).toBe(await sha256OfFile(source));
  expect(await leftovers(dirname(target))).toEqual([]);
  return receipt;
}

/** Of a file of `SIZE` nothing that was durable was sent again. */
function expectResumed(receipt: Receipt): void {
  expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
  expect(receipt.redoneFiles).toBe(0);
  // Headers, tags and control are a few per cent of what is sent.
  expect(receipt.bytesSent).toBeLessThan((SIZE - receipt.resumedBytes) * 1.1 + MIB);
}

/** The same server again, at the same port. */
function again({ server, root, state }: Pair): Promise<Server> {
  return startServer({ roots: [root], state, listen: server.address });
}

describe.each<Way>(["up", "down"])("%s: a large file", (way) => {
  test.each(["SIGINT", "SIGKILL"] as const)("client ended by %s, the same command goes on", async (how) => {
    await using pair = await startPair();
    const given = await makeCase(pair, way);
    await cutOff(given, how);
    expectResumed(await goesOn(given));
    // What is done is not gone on with.
    const third = await goesOn(given);
    expect([third.resumedBytes, third.skippedFiles]).toEqual([0, 1]);
  });

  test("server killed, and there again: the same command goes on", async () => {
    await using pair = await startPair();
    const given = await makeCase(pair, way);
    const run = begin(pair, ["cp", "--json", ...SLOWLY, "--retries", "0", ...given.words]);
    await untilPartial(dirname(given.target), ENOUGH);
    await pair.server.kill();
    expectError(await run.end(), 5, "connection_lost");
    await using _ = await again(pair);
    expectResumed(await goesOn(given));
  });

  test("server killed and there again meanwhile: the transfer goes on by itself", async () => {
    await using pair = await startPair();
    const given = await makeCase(pair, way);
    const run = begin(pair, ["cp", "--json", "--log-format", "json", ...SLOWLY, ...given.words]);
    await untilPartial(dirname(given.target), ENOUGH);
    await pair.server.kill();
    await untilTrue("the client to notice", async () => run.stderr().includes("retrying"));
    await using _ = await again(pair);
    const result = await run.end();
    expect({ code: result.code, stderr: result.stderr }).toMatchObject({ code: 0 });
    const receipt = result.json<Receipt>();
    expect(receipt).toMatchObject({ state: "done", files: 1 });
    expect(receipt.attempts).toBeGreaterThan(1);
    expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
    expect(await sha256OfFile(given.target)).toBe(await sha256OfFile(given.source));
    expect(await leftovers(dirname(given.target))).toEqual([]);
  });

  test("with other lanes, another transport and another chunk size", async () => {
    await using pair = await startPair();
    const given = await makeCase(pair, way);
    await cutOff(given, "SIGKILL", "--transport", "udp", "--lanes", "1", "--chunk", "1M");
    expectResumed(
      await goesOn(given, "--transport", "tcp", "--lanes", "3", "--chunk", "64K", "--seal", "off"),
    );
  });

  test("a source that changed meanwhile is begun anew, never mixed", async () => {
    await using pair = await startPair();
    const given = await makeCase(pair, way);
    await cutOff(given, "SIGKILL");
    await writeRandomFile(given.source, SIZE, "another version");
    const receipt = await goesOn(given);
    const redone = [{ path: "file", reason: "source_changed" }];
    expect(receipt).toMatchObject({ resumedBytes: 0, files: 1, redoneFiles: 1, redone });
    const shown = await pair.ok(["jobs", "show", receipt.jobId]);
    expect(shown.stdout).toMatch(/^begun anew +file \(source changed\)$/m);
  });

  test.each([
    ["was removed", "part_lost", (part: string) => rm(part)],
    ["was cut", "part_changed", (part: string) => truncate(part, 1)],
    [
      "is another file",
      "part_changed",
      async (part: string) => {
        await writeRandomFile(`${part}.other`, SIZE, "not ours");
        await rename(`${part}.other`, part);
      },
    ],
  ])("a part that %s is not trusted", async (_, reason, change) => {
    await using pair = await startPair();
    const given = await makeCase(pair, way);
    await cutOff(given, "SIGKILL");
    const folder = dirname(given.target);
    const [part = ""] = await leftovers(folder);
    await change(join(folder, part));
    const { pair: __, words, source, target } = given;
    const receipt = (await pair.ok(["cp", "--json", ...words])).json<Receipt>();
    expect(receipt).toMatchObject({ state: "done", resumedBytes: 0, redoneFiles: 1 });
    expect(receipt.redone).toEqual([{ path: "file", reason }]);
    expect(await sha256OfFile(target)).toBe(await sha256OfFile(source));
  });

  test("--resume never begins afresh and leaves nothing behind", async () => {
    await using pair = await startPair();
    const given = await makeCase(pair, way);
    await cutOff(given, "SIGINT");
    const receipt = await goesOn(given, "--resume", "never");
    expect(receipt).toMatchObject({ resumedBytes: 0, redoneFiles: 0 });
    expect(JSON.parse((await pair.ok(["jobs", "list", "--json"])).stdout)).toHaveLength(1);
  });
});

describe.each<Way>(["up", "down"])("%s: many files", (way) => {
  const FILES = 1_500;

  async function tree(pair: Pair) {
    const [here, there] = [pair.scratch.at("tree"), join(pair.root, "tree")];
    const [source, target] = way === "up" ? [here, there] : [there, here];
    await makeTree(source, { files: FILES, seed: `many ${way}`, largestFile: 4 * MIB });
    const words = way === "up" ? [here, "box:/tree"] : ["box:/tree", here];
    return { source, target, words };
  }

  /** So many regular files that have their names. */
  async function arrived(folder: string): Promise<number> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile() && !entry.name.endsWith(".part")).length;
  }

  test.each(way === "up" ? ["cp"] : ["cp", "mv"])(
    "%s: killed half-way, gone on with, equal",
    async (command) => {
      await using pair = await startPair();
      const { source, target, words } = await tree(pair);
      await pair.ok(["cp", source, pair.scratch.at("copy")]);
      const run = begin(pair, [command, "--json", "--limit", "1M", "--memory", "8M", ...words]);
      await untilTrue("a third of the files", async () => (await arrived(target)) > FILES / 3);
      run.child.kill("SIGKILL");
      await run.end();
      const manifest = pair.scratch.at("manifest");
      const last = [command, "--json", "--manifest", manifest, ...words];
      const receipt = (await pair.ok(last)).json<Receipt>();
      expect(receipt).toMatchObject({ state: "done", redoneFiles: 0 });
      // A folder that files were moved out of has another time by then.
      const found = await differences(pair.scratch.at("copy"), target, { times: command === "cp" });
      expect(found).toEqual([]);
      if (command === "cp") {
        // Those that were placed and not yet recorded when it was killed are there already.
        expect(receipt.resumedFiles).toBeGreaterThan(FILES / 10);
        expect(receipt.files + receipt.skippedFiles).toBe(FILES);
        // Also of files that were not sent: what an earlier run verified is known.
        const lines = (await readFile(manifest, "utf8")).trimEnd().split("\n");
        expect(lines).toHaveLength(receipt.files);
        expect(new Set(lines.map((line) => (JSON.parse(line) as { path: string }).path)).size).toBe(
          lines.length,
        );
        return;
      }
      expect(await readdir(source, { recursive: true }).catch(() => [])).toEqual([]);
      await expect(stat(source)).rejects.toThrow("ENOENT");
    },
  );

  test("a finished file that was changed at the destination is transferred again", async () => {
    await using pair = await startPair();
    const { source, target, words } = await tree(pair);
    const run = begin(pair, ["cp", "--json", "--limit", "1M", "--memory", "8M", ...words]);
    await untilTrue("a third of the files", async () => (await arrived(target)) > FILES / 3);
    run.child.kill("SIGKILL");
    await run.end();
    const entries = await readdir(target, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && /^f\d+$/.test(entry.name));
    const aged = await Promise.all(
      files.map(async ({ parentPath, name }) => {
        const file = join(parentPath, name);
        return { file, ctimeMs: (await stat(file)).ctimeMs };
      }),
    );
    // The oldest is known to be finished; of the last ones the receiver was killed before it could say so.
    const [oldest] = aged.sort((a, b) => a.ctimeMs - b.ctimeMs);
    await appendFile(oldest?.file ?? "", "more");
    const receipt = (await pair.ok(["cp", "--json", ...words])).json<Receipt>();
    const place = relative(target, oldest?.file ?? "");
    expect(receipt.redone).toEqual([{ path: place, reason: "destination_changed" }]);
    expect(receipt.redoneFiles).toBe(1);
    expect(await differences(source, target)).toEqual([]);
  });
});

test("a move of one file whose last word was lost is done, and nothing is missing", async () => {
  await using pair = await startPair();
  const given = await makeCase(pair, "up");
  const before = await sha256OfFile(given.source);
  const run = begin(pair, ["mv", "--json", ...SLOWLY, ...given.words]);
  await untilPartial(dirname(given.target), ENOUGH);
  run.child.kill("SIGKILL");
  await run.end();
  const receipt = (await pair.ok(["mv", "--json", ...given.words])).json<Receipt>();
  expect(receipt).toMatchObject({ state: "done", removedSources: 1 });
  expect(await sha256OfFile(given.target)).toBe(before);
  await expect(stat(given.source)).rejects.toThrow("ENOENT");
});

test("within this machine, and within the server", async () => {
  await using pair = await startPair();
  const file = join(pair.root, "file");
  await writeRandomFile(file, SIZE, "within");
  for (const words of [
    [file, pair.scratch.at("local")],
    ["box:/file", "box:/copy"],
  ]) {
    const target = words[1]?.startsWith("box:") ? join(pair.root, "copy") : pair.scratch.at("local");
    const given: Case = { pair, source: file, words, target };
    await cutOff(given, "SIGKILL");
    expect((await goesOn(given)).resumedBytes).toBeGreaterThan(4 * MIB);
  }
});

test("between two servers the second leg goes on in the middle of a file", async () => {
  await using pair = await startPair();
  const [root, state] = [pair.scratch.at("root2"), pair.scratch.at("state2")];
  await mkdir(root);
  await using second = await startServer({ roots: [root], state });
  await pair.ok(["remote", "add", "other", second.invite ?? ""]);
  const source = join(pair.root, "file");
  await writeRandomFile(source, SIZE, "between");
  const words = ["box:/file", "other:/in/file"];
  const given: Case = { pair, source, words, target: join(root, "in", "file") };
  await mkdir(join(root, "in"));
  await cutOff(given, "SIGKILL");
  const receipt = await goesOn(given);
  expect(receipt.resumedBytes).toBeGreaterThan(4 * MIB);
  // Of a job that is done nothing is kept.
  await untilTrue("the server to forget it", async () => {
    return (await readdir(join(state, "checkpoints"), { recursive: true })).every(
      (name) => !name.endsWith("json"),
    );
  });
});

describe("at a server", () => {
  test("a client sees and resumes its own jobs alone", async () => {
    await using pair = await startPair();
    const given = await makeCase(pair, "up");
    const other = await pair.enrol("other", await pair.invite());
    await cutOff(given, "SIGKILL");
    const mine = (await pair.ok(["jobs", "list", "--json", "box:"])).json<{ id: string }[]>();
    expect(mine).toHaveLength(1);
    const theirs = begin(pair, ["jobs", "list", "--json", "box:"], other);
    expect((await theirs.end()).json()).toEqual([]);
    const foreign = begin(pair, ["jobs", "cancel", "--json", "--remote", "box", mine[0]?.id ?? ""], other);
    expectError(await foreign.end(), 3, "not_found");
    // Theirs arrives beside it, and takes nothing of it.
    const copy = begin(pair, ["cp", "--json", given.source, "box:/in/file"], other);
    expect((await copy.end()).json<Receipt>()).toMatchObject({ state: "done", resumedBytes: 0 });
    expect(await leftovers(dirname(given.target))).toHaveLength(1);
    await goesOn(given, "--overwrite", "if-different");
  });

  test("a client that was revoked leaves nothing behind", async () => {
    await using pair = await startPair();
    const given = await makeCase(pair, "up");
    const run = begin(pair, ["cp", "--json", ...SLOWLY, ...given.words]);
    await untilPartial(dirname(given.target), ENOUGH);
    const clients = (await pair.ok(["clients", "list", "--json", "--state", pair.state])).json<
      { id: string }[]
    >();
    const id = clients[0]?.id ?? "";
    await pair.ok(["clients", "revoke", "--state", pair.state, id]);
    expectError(await run.end(), 4, "revoked");
    await untilTrue("the server to clear up", async () => {
      const kept = await readdir(join(pair.state, "checkpoints", id));
      return kept.length === 0 && (await leftovers(pair.root)).length === 0;
    });
    expectError(await pair.pb(["cp", "--json", ...given.words]), 4, "revoked");
  });

  test("a destination that became a folder meanwhile is another destination", async () => {
    await using pair = await startPair();
    const given = await makeCase(pair, "up");
    await cutOff(given, "SIGKILL");
    await mkdir(given.target);
    await writeFile(join(given.target, "other"), "stays");
    await pair.ok(["cp", ...given.words]);
    expect(await sha256OfFile(join(given.target, "file"))).toBe(await sha256OfFile(given.source));
    expect(await leftovers(pair.root)).toEqual([]);
  });
});
