import { mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { expectError } from "./lib/assert.ts";

let pair: Pair;

beforeAll(async () => {
  pair = await startPair();
  await mkdir(pair.scratch.at("here"));
});

afterAll(() => pair?.[Symbol.asyncDispose]());

interface Listed {
  readonly path: string;
  readonly kind: string;
  readonly size: number;
  readonly mtime: string;
  readonly mode: string;
}

/** The same commands on this machine's paths and on a remote's. */
describe.each(["local", "remote"])("%s", (kind) => {
  const place = (path: string) => (kind === "local" ? pair.scratch.at("here", path) : `box:/${path}`);
  const real = (path: string) => (kind === "local" ? pair.scratch.at("here", path) : `${pair.root}/${path}`);

  test("mkdir makes a folder once, with -p its parents too", async () => {
    await pair.ok(["mkdir", place("one")]);
    expect((await stat(real("one"))).isDirectory()).toBe(true);
    expectError(await pair.pb(["mkdir", "--json", place("one")]), 1, "exists");
    const orphan = await pair.pb(["mkdir", "--json", place("no/such/parent")]);
    expectError(orphan, 3, "not_found");
    expect(orphan.stderr).toContain("--parents");
    const made = await pair.ok(["mkdir", "--json", "-p", place("a/b/c"), place("a/b/c")]);
    expect(made.json<{ created: boolean }[]>().map(({ created }) => created)).toEqual([true, false]);
    expect((await stat(real("a/b/c"))).isDirectory()).toBe(true);
  });

  test("touch makes empty files and sets times to the nanosecond", async () => {
    await pair.ok(["touch", "--mtime", "2001-02-03T04:05:06.789012345Z", place("t")]);
    const made = await stat(real("t"), { bigint: true });
    expect(made).toMatchObject({ size: 0n, mtimeNs: 981173106789012345n });
    await writeFile(real("t"), "kept");
    await pair.ok(["touch", place("t")]);
    expect(await readFile(real("t"), "utf8")).toBe("kept");
    expectError(await pair.pb(["touch", "--json", "--no-create", place("absent")]), 3, "not_found");
    await expect(stat(real("absent"))).rejects.toThrow();
  });

  test("list and stat tell kind, size, mode and time", async () => {
    await mkdir(real("l/sub"), { recursive: true });
    await writeFile(real("l/file"), "12345", { mode: 0o640 });
    await symlink("file", real("l/link"));
    const { stdout } = await pair.ok(["ls", "--json", place("l")]);
    const rows = JSON.parse(stdout) as Listed[];
    expect(rows.map((row) => [row.path.replace(/^.*\//, ""), row.kind, row.size])).toEqual([
      ["file", "file", 5],
      ["link", "symlink", expect.any(Number)],
      ["sub", "directory", expect.any(Number)],
    ]);
    const one = (await pair.ok(["stat", "--json", place("l/file")])).stdout;
    expect([JSON.parse(one)].flat()[0]).toMatchObject({ kind: "file", size: 5, mode: "0640" });
    expectError(await pair.pb(["stat", "--json", place("l/none")]), 3, "not_found");
    expectError(await pair.pb(["ls", "--json", place("none")]), 3, "not_found");
  });

  test("rename changes a name within its folder and replaces nothing unasked", async () => {
    await writeFile(real("old"), "old");
    await writeFile(real("taken"), "taken");
    expectError(await pair.pb(["rename", "--json", place("old"), "taken"]), 1, "exists");
    expect(await readFile(real("taken"), "utf8")).toBe("taken");
    expectError(await pair.pb(["rename", "--json", place("old"), "a/b"]), 2, "usage");
    await pair.ok(["rename", place("old"), "new"]);
    expect(await readFile(real("new"), "utf8")).toBe("old");
    await pair.ok(["rename", "--replace", place("new"), "taken"]);
    expect(await readFile(real("taken"), "utf8")).toBe("old");
  });

  test("move within a place is a rename; onto itself and into itself are refused", async () => {
    await mkdir(real("m/sub"), { recursive: true });
    await writeFile(real("m/f"), "moved");
    const { ino } = await stat(real("m/f"));
    await pair.ok(["mv", place("m/f"), place("m/sub/g")]);
    expect((await stat(real("m/sub/g"))).ino).toBe(ino);
    expectError(await pair.pb(["mv", "--json", place("m/sub/g"), place("m/sub/g")]), 1, "same_file");
    expectError(await pair.pb(["mv", "--json", place("m"), place("m/sub/m")]), 1, "same_file");
    expect(await readFile(real("m/sub/g"), "utf8")).toBe("moved");
  });

  test("rm removes files, and trees only when told", async () => {
    await mkdir(real("r/sub"), { recursive: true });
    await writeFile(real("r/sub/f"), "");
    expectError(await pair.pb(["rm", "--json", place("r")]), 1, "not_empty");
    expectError(await pair.pb(["rm", "--json", "-r", place("r")]), 2, "usage");
    expect((await stat(real("r/sub/f"))).size).toBe(0);
    const listed = await pair.ok(["rm", "-r", "--dry-run", place("r")]);
    expect(listed.stdout).toContain("sub/f");
    expect((await stat(real("r/sub/f"))).size).toBe(0);
    const removed = await pair.ok(["rm", "-r", "--yes", "--json", place("r")]);
    expect(removed.json<object[]>()[0]).toMatchObject({ files: 1, directories: 2 });
    await expect(stat(real("r"))).rejects.toThrow();
    expectError(await pair.pb(["rm", "--json", place("r")]), 3, "not_found");
  });
});

test("move across places leaves the source only until the copy is there", async () => {
  await mkdir(pair.scratch.at("here", "tree", "sub"), { recursive: true });
  await writeFile(pair.scratch.at("here", "tree", "sub", "f"), "content");
  const receipt = await pair.ok(["mv", "--json", pair.scratch.at("here", "tree"), "box:/arrived"]);
  expect(receipt.stdout).toContain("removedSources");
  expect(await readFile(`${pair.root}/arrived/sub/f`, "utf8")).toBe("content");
  await expect(stat(pair.scratch.at("here", "tree", "sub", "f"))).rejects.toThrow();
});

test("standard input and output carry a file", async () => {
  await pair.ok(["cp", "-", "box:/from-stdin"], { stdin: "through a pipe\n" });
  expect(await readFile(`${pair.root}/from-stdin`, "utf8")).toBe("through a pipe\n");
  expect((await pair.ok(["cp", "box:/from-stdin", "-"])).stdout).toBe("through a pipe\n");
});

test("a dry run lists and writes nothing; filters choose", async () => {
  await mkdir(pair.scratch.at("here", "dry", "skip"), { recursive: true });
  for (const name of ["a.txt", "b.log", "skip/c.txt"])
    await writeFile(pair.scratch.at("here", "dry", name), name);
  const args = [pair.scratch.at("here", "dry"), "box:/dry", "--exclude", "skip", "--exclude", "*.log"];
  const listed = await pair.ok(["cp", "--dry-run", ...args]);
  expect(listed.stdout).toContain("a.txt");
  expect(listed.stdout).not.toMatch(/b\.log|c\.txt/);
  await expect(stat(`${pair.root}/dry`)).rejects.toThrow();
  await pair.ok(["cp", ...args]);
  expect(await readFile(`${pair.root}/dry/a.txt`, "utf8")).toBe("a.txt");
  await expect(stat(`${pair.root}/dry/b.log`)).rejects.toThrow();
  await expect(stat(`${pair.root}/dry/skip`)).rejects.toThrow();
});
