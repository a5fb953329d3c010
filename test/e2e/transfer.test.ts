import { existsSync } from "node:fs";
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { errorsOf, expectError } from "./lib/assert.ts";
import { mountTmpfs, whyNoMounts } from "./lib/mount.ts";
import { PB, run } from "./lib/process.ts";
import { randomBytes, writeRandomFile } from "./lib/random.ts";
import { differences, leftovers, makeTree } from "./lib/tree.ts";

/** What a transfer may be told, each in both directions where it matters: what arrives, what stays, what is said. */
let pair: Pair;

beforeAll(async () => {
  pair = await startPair();
});

afterAll(() => pair?.[Symbol.asyncDispose]());

let count = 0;
/** A folder here, the same at the server, and how a location names the latter. */
async function places() {
  count += 1;
  const name = `p${count}`;
  const here = pair.scratch.at(name);
  await mkdir(here);
  return { here, there: join(pair.root, name), box: `box:/${name}` };
}

interface Receipt {
  readonly state: string;
  readonly bytes: number;
  readonly files: number;
  readonly skippedFiles: number;
  readonly removedSources: number;
  readonly planned?: readonly { readonly action: string; readonly path: string }[];
}

const cp = async (...args: string[]) => (await pair.ok(["cp", "--json", ...args])).json<Receipt>();
const mv = async (...args: string[]) => (await pair.ok(["mv", "--json", ...args])).json<Receipt>();

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).sort();
}

describe("--overwrite", () => {
  const OLD = new Date("2020-01-01T00:00:00Z");
  const NEW = new Date("2021-01-01T00:00:00Z");

  /** The source is newer than `newer`, older than `older`, and differs from all. */
  async function setUp(from: string, to: string): Promise<void> {
    for (const folder of [from, to]) await mkdir(folder, { recursive: true });
    for (const name of ["same", "newer", "older"]) await writeFile(join(from, name), "source");
    for (const name of ["newer", "older"]) await writeFile(join(to, name), "there");
    await writeFile(join(to, "same"), "source");
    for (const folder of [from, to]) await utimes(join(folder, "same"), OLD, OLD);
    await utimes(join(from, "newer"), NEW, NEW);
    await utimes(join(to, "newer"), OLD, OLD);
    await utimes(join(from, "older"), OLD, OLD);
    await utimes(join(to, "older"), NEW, NEW);
  }

  test.each([
    ["always", ["newer", "older", "same"]],
    ["if-different", ["newer", "older"]],
    ["if-newer", ["newer"]],
    ["never", []],
  ])("%s writes %o over what is there, up and down", async (policy, written) => {
    const { here, there, box } = await places();
    await setUp(join(here, "from"), join(there, "to"));
    await setUp(join(there, "from"), join(here, "to"));
    for (const [from, to, folder] of [
      [join(here, "from"), `${box}/to`, join(there, "to")],
      [`${box}/from`, join(here, "to"), join(here, "to")],
    ] as const) {
      const planned = await cp("--overwrite", policy, "--dry-run", from, to);
      const copies = planned.planned?.filter(({ action }) => action === "copy") ?? [];
      expect(copies.map(({ path }) => path.replace(/^.*\//, "")).sort()).toEqual(written);
      const receipt = await cp("--overwrite", policy, from, to);
      expect(receipt).toMatchObject({ files: written.length, skippedFiles: 3 - written.length });
      for (const name of ["newer", "older"]) {
        const content = written.includes(name) ? "source" : "there";
        expect(await readFile(join(folder, name), "utf8")).toBe(content);
      }
      expect(await leftovers(folder)).toEqual([]);
    }
  });
});

describe("filters", () => {
  test("hold on the side that lists, up and down", async () => {
    const { here, there, box } = await places();
    const tree = join(here, "tree");
    await mkdir(join(tree, "node_modules", "m"), { recursive: true });
    await mkdir(join(tree, "src"));
    for (const path of ["a.md", "src/b.md", "src/c.ts", "node_modules/m/d.md"]) {
      await writeFile(join(tree, path), path);
    }
    const filters = ["--exclude", "node_modules", "--include", "*.md", "--exclude", "*"];
    await cp(...filters, tree, `${box}/up`);
    await cp(tree, `${box}/all`);
    await cp(...filters, `${box}/all`, join(here, "down"));
    for (const folder of [join(there, "up"), join(here, "down")]) {
      expect(await names(folder)).toEqual(["a.md", "src", "src/b.md"]);
    }
    await writeFile(join(here, "list"), "src\na.md\n");
    await cp("--files-from", join(here, "list"), `${box}/all`, join(here, "listed"));
    expect(await names(join(here, "listed"))).toEqual(["a.md", "src", "src/b.md", "src/c.ts"]);
    await cp("--min-size", "5", "--max-size", "8", tree, `${box}/sized`);
    expect(await names(join(there, "sized"))).toEqual([
      "node_modules",
      "node_modules/m",
      "src",
      "src/b.md",
      "src/c.ts",
    ]);
  });
});

test("a dry run says what would be done, and writes nothing", async () => {
  const { here, there, box } = await places();
  const tree = join(here, "tree");
  await makeTree(tree, { files: 20, seed: "dry" });
  const before = await names(pair.root);
  const receipt = await cp("--dry-run", tree, box);
  expect(receipt.state).toBe("done");
  expect(receipt.planned?.filter(({ action }) => action === "copy")).toHaveLength(20);
  expect(await names(pair.root)).toEqual(before);
  await cp(tree, box);
  await cp("--dry-run", box, join(here, "down"));
  expect(existsSync(join(here, "down"))).toBe(false);
  const moved = (await pair.ok(["mv", "--json", "--dry-run", box, join(here, "down")])).json<Receipt>();
  expect(moved.planned?.some(({ action }) => action === "remove-source")).toBe(true);
  expect(await differences(tree, there)).toEqual([]);
});

describe("a move across places", () => {
  test("up and down: equal there, gone here", async () => {
    const { here, there, box } = await places();
    await makeTree(join(here, "tree"), { files: 60, seed: "move" });
    await cp(join(here, "tree"), join(here, "kept"));
    const up = await mv(join(here, "tree"), `${box}/tree`);
    expect(up).toMatchObject({ state: "done", files: 60 });
    expect(await differences(join(here, "kept"), join(there, "tree"))).toEqual([]);
    expect(await readdir(here)).toEqual(["kept"]);
    await mv(`${box}/tree`, join(here, "back"));
    expect(await differences(join(here, "kept"), join(here, "back"))).toEqual([]);
    expect(await readdir(there)).toEqual([]);
  });

  test("keeps every source whose copy did not come about", async () => {
    const { here, there, box } = await places();
    await mkdir(join(here, "tree", "sub"), { recursive: true });
    await mkdir(join(there, "tree", "taken"), { recursive: true });
    for (const name of ["arrives", "taken", "sub/arrives"]) await writeFile(join(here, "tree", name), name);
    const result = await pair.pb(["mv", "--json", join(here, "tree"), `${box}/tree`]);
    const error = expectError(result, 6, "is_a_directory");
    expect(error.path).toBe(join(here, "tree", "taken"));
    expect(await names(join(here, "tree"))).toEqual(["taken"]);
    expect(await names(join(there, "tree"))).toEqual(["arrives", "sub", "sub/arrives", "taken"]);
  });

  test("refuses a source that is its own destination through the server", async () => {
    const { here, there, box } = await places();
    await mkdir(join(there, "sub"), { recursive: true });
    await writeFile(join(there, "sub", "only"), "copy");
    await symlink(there, join(here, "alias"));
    await link(join(there, "sub", "only"), join(here, "hard"));
    for (const [from, to] of [
      [there, box],
      [box, there],
      [`${box}/sub/only`, join(there, "sub", "only")],
      [join(here, "alias", "sub"), `${box}/sub`],
      [there, `${box}/sub/deeper`],
      [join(here, "hard"), `${box}/sub/only`],
    ] as const) {
      for (const command of ["mv", "cp"]) {
        const result = await pair.pb([command, "--json", from, to]);
        expect({ command, from, to, code: errorsOf(result)[0]?.code }).toEqual({
          command,
          from,
          to,
          code: "same_file",
        });
        expect(result.code).toBe(1);
      }
    }
    expect(await readFile(join(there, "sub", "only"), "utf8")).toBe("copy");
  });
});

describe("standard streams", () => {
  test("a pipe goes up and comes down, byte for byte", async () => {
    const { here, there, box } = await places();
    const content = randomBytes("pipe", 5_000_003);
    await pair.ok(["cp", "-", `${box}/sub/piped`], { stdin: content });
    expect((await readFile(join(there, "sub", "piped"))).equals(content)).toBe(true);
    await writeFile(join(here, "text"), "line one\nline two\n".repeat(30_000));
    await cp(join(here, "text"), `${box}/text`);
    for (const source of [`${box}/text`, join(here, "text")]) {
      const { stdout } = await pair.ok(["cp", source, "-"]);
      expect(stdout).toBe("line one\nline two\n".repeat(30_000));
    }
    await pair.ok(["cp", "-", `${box}/empty`], { stdin: "" });
    expect((await readFile(join(there, "empty"))).length).toBe(0);
  });

  test("a reader that has had enough is no failure of the network", async () => {
    const { here, box } = await places();
    await writeRandomFile(join(here, "file"), 8 << 20, "enough");
    await cp(join(here, "file"), `${box}/file`);
    for (const source of [`${box}/file`, join(here, "file")]) {
      const command = `"$PB" cp --log-format json "${source}" - | head -c 10 | wc -c; exit "\${PIPESTATUS[0]}"`;
      const env = { PB, PB_HOME: pair.home };
      const result = await run("bash", ["-c", command], { env });
      expect([result.code, result.stdout.trim()]).toEqual([130, "10"]);
      expect(result.stderr).not.toContain("connection_lost");
    }
  });

  test("need a file's name, and one file", async () => {
    const { here, there, box } = await places();
    await mkdir(there);
    expectError(await pair.pb(["cp", "--json", "-", box], { stdin: "x" }), 1, "is_a_directory");
    await mkdir(join(here, "folder"));
    const folder = await pair.pb(["cp", "--log-format", "json", join(here, "folder"), "-"]);
    expect([folder.code, folder.stdout]).toEqual([2, ""]);
    expect(await readdir(there)).toEqual([]);
  });
});

test("permissions, times and links of single files, and a new name", async () => {
  const { here, there, box } = await places();
  await writeRandomFile(join(here, "file"), 200_000, "single");
  await chmod(join(here, "file"), 0o604);
  await utimes(join(here, "file"), 1_000_000_000.123, 1_000_000_000.123);
  await symlink("file", join(here, "link"));
  await cp(join(here, "file"), `${box}/deep/er/renamed`);
  await cp(join(here, "link"), `${box}/link`);
  await cp("-L", join(here, "link"), `${box}/followed`);
  expect(await names(there)).toEqual(["deep", "deep/er", "deep/er/renamed", "followed", "link"]);
  expect(await readlink(join(there, "link"))).toBe("file");
  const wanted = await lstat(join(here, "file"), { bigint: true });
  for (const name of ["deep/er/renamed", "followed"]) {
    const arrived = await lstat(join(there, name), { bigint: true });
    expect([arrived.mode, arrived.mtimeNs, arrived.size]).toEqual([wanted.mode, wanted.mtimeNs, wanted.size]);
    expect(await readFile(join(there, name))).toEqual(await readFile(join(here, "file")));
  }
});

test("between two servers, by way of this machine", async () => {
  await using second = await startPair();
  const { here, box } = await places();
  await makeTree(join(here, "tree"), { files: 80, seed: "across" });
  await cp(join(here, "tree"), `${box}/tree`);
  await pair.ok(["remote", "add", "second", await second.invite()]);
  const receipt = await cp(`${box}/tree`, "second:/tree");
  expect(receipt).toMatchObject({ state: "done", files: 80 });
  expect(await differences(join(here, "tree"), join(second.root, "tree"))).toEqual([]);
  const again = await cp(`${box}/tree`, "second:/tree");
  expect(again).toMatchObject({ state: "done", files: 0, skippedFiles: 80 });
});

test("within one server, by its own engine", async () => {
  const { here, there, box } = await places();
  await makeTree(join(here, "tree"), { files: 40, seed: "within" });
  await cp(join(here, "tree"), `${box}/a`);
  const receipt = await cp(`${box}/a`, `${box}/b`);
  expect(receipt).toMatchObject({ state: "done", files: 40, transport: "memory" });
  expect(await differences(join(here, "tree"), join(there, "b"))).toEqual([]);
});

describe.skipIf(whyNoMounts() !== undefined)("on file systems of their own (needs root)", () => {
  test("a move that fills the disk keeps what did not fit", async () => {
    const { here, there, box } = await places();
    for (const n of [1, 2, 3, 4]) await writeRandomFile(join(here, `f${n}`), 3 << 20, n);
    const small = join(there, "small");
    using _ = mountTmpfs(small, "size=8m");
    const result = await pair.pb(["mv", "--json", here, `${box}/small`]);
    expectError(result, 7, "no_space");
    // What has not arrived whole is kept under a temporary name: it goes on when there is space.
    const arrived = (await names(small)).filter((name) => !name.endsWith(".part"));
    const left = await names(here);
    // One that had just become durable when the job failed may be in both places, none in neither.
    expect([...new Set([...left, ...arrived])].sort()).toEqual(["f1", "f2", "f3", "f4"]);
    expect(left.length).toBeGreaterThanOrEqual(2);
    for (const name of arrived) expect((await readFile(join(small, name))).length).toBe(3 << 20);
  });
});
