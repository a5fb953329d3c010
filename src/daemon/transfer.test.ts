import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
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
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Overwrite } from "../gen/packetboat/v1/transfer_pb.ts";
import { pathText } from "../model/path.ts";
import { type Ended, type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

let loop: Loopback;
beforeAll(async () => {
  loop = await startLoopback();
});
afterAll(() => loop[Symbol.asyncDispose]());

let count = 0;
/** Folders of its own for each test: here, at the server, and the path of the latter as a location. */
async function folders() {
  count += 1;
  const name = `t${count}`;
  const here = loop.at(name);
  await mkdir(here);
  return { here, there: join(loop.box.folder, name), box: `box:/${name}`, name };
}

async function makeTree(folder: string): Promise<void> {
  await mkdir(join(folder, "sub", "deep"), { recursive: true });
  await mkdir(join(folder, "empty"));
  await writeFile(join(folder, "a.txt"), "aaa");
  await writeFile(join(folder, "sub", "b.md"), "bb");
  await writeFile(join(folder, "sub", "deep", "c\nd.txt"), "c");
  await symlink("../a.txt", join(folder, "sub", "link"));
  await chmod(join(folder, "a.txt"), 0o640);
  await utimes(join(folder, "a.txt"), 1_000_000, 1_000_000);
}

/** Paths below a folder with what they hold. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const at = join(folder, name);
    const stat = await lstat(at);
    if (stat.isDirectory()) content[name] = "folder";
    else if (stat.isSymbolicLink()) content[name] = `-> ${await readlink(at)}`;
    else content[name] = await readFile(at, "utf8");
  }
  return content;
}

const TREE = {
  "a.txt": "aaa",
  empty: "folder",
  sub: "folder",
  "sub/b.md": "bb",
  "sub/deep": "folder",
  "sub/deep/c\nd.txt": "c",
  "sub/link": "-> ../a.txt",
};

const state = ({ receipt, error }: Ended) => receipt?.state ?? error?.code;
const codes = ({ receipt }: Ended) => receipt?.errors.map(({ code }) => code);
const actions = ({ events }: Ended) =>
  events.flatMap((event) =>
    event.case === "planned" ? [`${event.value.action} ${pathText(event.value.path)}`] : [],
  );

describe("a tree", () => {
  it("goes up, down, across this machine and across servers", async () => {
    const { here, box, there, name } = await folders();
    const tree = join(here, "tree");
    await mkdir(tree);
    await makeTree(tree);
    const up = await transfer(loop, { from: tree, to: `${box}/up` });
    expect(state(up)).toBe("done");
    expect(up.receipt).toMatchObject({ files: 3n, bytes: 6n, symlinks: 1n, transport: "udp", sealed: true });
    expect(await contentOf(join(there, "up"))).toEqual(TREE);
    expect((await lstat(join(there, "up", "a.txt"))).mode & 0o777).toBe(0o640);
    for (const [from, to, at] of [
      [`${box}/up`, join(here, "down"), join(here, "down")],
      [tree, join(here, "copy"), join(here, "copy")],
      [`${box}/up`, `${box}/same`, join(there, "same")],
      [`${box}/up`, `other:/${name}`, join(loop.other.folder, name)],
    ] as const) {
      const done = await transfer(loop, { from, to });
      expect({ to, state: state(done), errors: codes(done) }).toEqual({ to, state: "done", errors: [] });
      expect(await contentOf(at)).toEqual(TREE);
      expect(done.receipt?.files).toBe(3n);
    }
    expect(await readdir(loop.at("spool"))).toEqual([]);
  });

  it("arrives under its name when it is one of several, or one file in a folder", async () => {
    const { here, box, there } = await folders();
    await makeTree(join(here, "tree"));
    await writeFile(join(here, "single"), "s");
    await transfer(loop, { from: [join(here, "tree"), join(here, "single")], to: box, several: true });
    expect(Object.keys(await contentOf(there))).toContain("tree/sub/deep");
    await transfer(loop, { from: join(here, "tree", "a.txt"), to: `${box}/tree/sub` });
    await transfer(loop, { from: join(here, "single"), to: `${box}/x/renamed` });
    await transfer(loop, { from: `${box}/single`, to: here });
    await transfer(loop, { from: [`${box}/tree`], to: join(here, "named"), several: true });
    expect(await readFile(join(there, "tree", "sub", "a.txt"), "utf8")).toBe("aaa");
    expect(await readFile(join(there, "x", "renamed"), "utf8")).toBe("s");
    expect(await readFile(join(here, "named", "tree", "a.txt"), "utf8")).toBe("aaa");
  });

  it("is filtered, at either end", async () => {
    const { here, box, there, name } = await folders();
    await makeTree(join(here, "tree"));
    const filters = [
      { include: true, pattern: "*.md" },
      { include: false, pattern: "*" },
    ];
    await transfer(loop, { from: join(here, "tree"), to: `${box}/md`, options: { filters } });
    const kept = { sub: "folder", "sub/b.md": "bb" };
    expect(await contentOf(join(there, "md"))).toEqual(kept);
    await transfer(loop, { from: join(here, "tree"), to: `${box}/all` });
    await transfer(loop, { from: `${box}/all`, to: join(here, "md"), options: { filters } });
    await transfer(loop, { from: `${box}/all`, to: `other:/${name}`, options: { filters } });
    expect(await contentOf(join(here, "md"))).toEqual(kept);
    expect(await contentOf(join(loop.other.folder, name))).toEqual(kept);
    const filesFrom = ["sub/b.md", "empty", "gone"].map((path) => Buffer.from(path));
    const some = await transfer(loop, {
      from: join(here, "tree"),
      to: join(here, "some"),
      options: { filesFrom },
    });
    expect({ state: state(some), errors: codes(some) }).toEqual({ state: "partial", errors: ["not_found"] });
    expect(await contentOf(join(here, "some"))).toEqual({ ...kept, empty: "folder" });
  });
});

describe("a dry run", () => {
  it("says what would be done and does nothing", async () => {
    const { here, box, there } = await folders();
    await makeTree(join(here, "tree"));
    const request = { from: join(here, "tree"), to: `${box}/d`, dryRun: true };
    const planned = await transfer(loop, request);
    expect(state(planned)).toBe("done");
    const base = `${there.slice(loop.box.folder.length)}/d`;
    expect(actions(planned)).toEqual([
      `mkdir ${base}`,
      `copy ${base}/a.txt`,
      `mkdir ${base}/empty`,
      `mkdir ${base}/sub`,
      `copy ${base}/sub/b.md`,
      `mkdir ${base}/sub/deep`,
      `copy ${base}/sub/deep/c\nd.txt`,
      `link ${base}/sub/link`,
    ]);
    expect(existsSync(there)).toBe(false);
    await transfer(loop, { ...request, dryRun: false });
    await writeFile(join(here, "tree", "a.txt"), "changed");
    const again = await transfer(loop, { ...request, options: { overwrite: Overwrite.IF_DIFFERENT } });
    expect(actions(again).filter((text) => text.startsWith("copy"))).toContain(`copy ${base}/a.txt`);
    expect(await readFile(join(there, "d", "a.txt"), "utf8")).toBe("aaa");
  });
});

describe("a move", () => {
  it.each(["up", "down", "local", "across"])("takes the sources away when all is there: %s", async (way) => {
    const { here, box, there, name } = await folders();
    const tree = join(here, "tree");
    await makeTree(tree);
    let [from, source] = [tree, tree];
    if (way === "down" || way === "across") {
      await transfer(loop, { from: tree, to: `${box}/from` });
      [from, source] = [`${box}/from`, join(there, "from")];
    }
    const [to, target] = {
      up: [`${box}/to`, join(there, "to")],
      down: [join(here, "to"), join(here, "to")],
      local: [join(here, "to"), join(here, "to")],
      across: [`other:/${name}`, join(loop.other.folder, name)],
    }[way] as [string, string];
    const filters = [{ include: false, pattern: "b.md" }];
    const moved = await transfer(loop, { from, to, move: true, options: { filters } });
    expect({ state: state(moved), errors: codes(moved) }).toEqual({ state: "done", errors: [] });
    const { "sub/b.md": _, ...arrived } = TREE;
    expect(await contentOf(target)).toEqual(arrived);
    expect(await contentOf(source)).toEqual({ sub: "folder", "sub/b.md": "bb" });
    expect(moved.receipt?.removedSources).toBeGreaterThanOrEqual(2n);
  });
});

describe("refuses", () => {
  it("a source that is not there, before anything is made", async () => {
    const { here, box, there } = await folders();
    expect(state(await transfer(loop, { from: join(here, "gone"), to: `${box}/x` }))).toBe("not_found");
    expect(state(await transfer(loop, { from: `${box}/gone`, to: join(here, "x") }))).toBe("not_found");
    expect([existsSync(there), existsSync(join(here, "x"))]).toEqual([false, false]);
  });

  it("a copy onto itself, through links and hard links, and into itself", async () => {
    const { here, box, there } = await folders();
    await makeTree(join(here, "tree"));
    await symlink(join(here, "tree"), join(here, "alias"));
    await link(join(here, "tree", "a.txt"), join(here, "hard"));
    for (const [from, to] of [
      [join(here, "tree"), join(here, "tree")],
      [join(here, "tree"), join(here, "alias")],
      [join(here, "tree"), join(here, "tree", "sub", "new")],
      [join(here, "tree"), join(here, "alias", "sub")],
      [join(here, "tree", "a.txt"), join(here, "hard")],
    ] as const) {
      expect({ to, code: state(await transfer(loop, { from, to, move: true })) }).toEqual({
        to,
        code: "same_file",
      });
    }
    expect(await contentOf(join(here, "tree"))).toEqual(TREE);
    await transfer(loop, { from: join(here, "tree"), to: `${box}/t` });
    for (const to of [`${box}/t`, `${box}/t/sub/x`]) {
      expect(state(await transfer(loop, { from: `${box}/t`, to }))).toBe("same_file");
    }
    expect(await contentOf(join(there, "t"))).toEqual(TREE);
  });

  it("a copy onto itself by way of a server that shows the same folder", async () => {
    const { here, box, there } = await folders();
    await makeTree(there);
    for (const [from, to] of [
      [there, box],
      [box, there],
      [join(there, "a.txt"), `${box}/a.txt`],
      [`${box}/sub/b.md`, join(there, "sub")],
      [box, join(there, "sub", "x")],
      [there, `${box}/sub/x`],
    ] as const) {
      const refused = await transfer(loop, { from, to, move: true });
      expect({ from, to, code: state(refused) }).toEqual({ from, to, code: "same_file" });
    }
    expect(await contentOf(there)).toEqual(TREE);
    // A part of the destination is a part of the source.
    await mkdir(join(here, "to"));
    await symlink(join(there, "sub"), join(here, "to", "sub"));
    const moved = await transfer(loop, { from: there, to: join(here, "to"), move: true });
    expect({ state: state(moved), errors: codes(moved) }).toEqual({
      state: "partial",
      errors: ["same_file"],
    });
    expect(await readFile(join(there, "sub", "b.md"), "utf8")).toBe("bb");
  });

  it("writing for a caller who may only read, at the client and at the server", async () => {
    const { here, box, there } = await folders();
    await writeFile(join(here, "f"), "f");
    loop.box.caller = { ...loop.box.caller, readOnly: true };
    try {
      const refused = await transfer(loop, { from: join(here, "f"), to: `${box}/f` });
      expect(state(refused)).toBe("read_only");
      expect(existsSync(there)).toBe(false);
    } finally {
      loop.box.caller = { ...loop.box.caller, readOnly: false };
    }
  });

  it.each(["box:/../x", "box:/a/../../x"])("a path that leads out: %s", async (path) => {
    const { here } = await folders();
    await writeFile(join(here, "f"), "f");
    expect(state(await transfer(loop, { from: join(here, "f"), to: path }))).toBe("path_escapes");
    expect(state(await transfer(loop, { from: path, to: join(here, "g") }))).toBe("path_escapes");
  });
});

describe("standard streams", () => {
  it("are a source and a destination", async () => {
    const { here, box, there } = await folders();
    await writeFile(join(here, "in"), "piped");
    const sourceFd = openSync(join(here, "in"), "r");
    const up = await transfer(loop, { sourceFd, to: `${box}/piped` });
    closeSync(sourceFd);
    expect(state(up)).toBe("done");
    expect(await readFile(join(there, "piped"), "utf8")).toBe("piped");
    for (const from of [`${box}/piped`, join(here, "in")]) {
      const destinationFd = openSync(join(here, "out"), "w");
      expect(state(await transfer(loop, { from, destinationFd }))).toBe("done");
      closeSync(destinationFd);
      expect(readFileSync(join(here, "out"), "utf8")).toBe("piped");
    }
  });
});

describe("errors of single files", () => {
  it.each(["to a server", "on this machine"])("leave the rest and are named once, %s", async (where) => {
    const { here, box, there } = await folders();
    await makeTree(join(here, "tree"));
    const [to, folder] =
      where === "to a server" ? [`${box}/t`, join(there, "t")] : [join(here, "t"), join(here, "t")];
    await mkdir(join(folder, "a.txt"), { recursive: true });
    const result = await transfer(loop, { from: join(here, "tree"), to });
    const told = result.receipt?.errors.map(({ code, path }) => [code, Buffer.from(path).toString()]);
    expect({ state: state(result), told }).toEqual({
      state: "partial",
      told: [["is_a_directory", join(here, "tree", "a.txt")]],
    });
    expect(await readFile(join(folder, "sub", "b.md"), "utf8")).toBe("bb");
  });
});

describe("an abort", () => {
  it("ends the transfer and closes the session", async () => {
    const { here, box } = await folders();
    await makeTree(join(here, "tree"));
    const stop = new AbortController();
    stop.abort();
    const result = await transfer(loop, { from: join(here, "tree"), to: `${box}/t`, signal: stop.signal });
    expect(result.error?.code).toBe("aborted");
  });
});
