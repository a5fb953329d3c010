import { mkdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Pair, startPair } from "./harness.ts";
import { writeRandomFile } from "./lib/random.ts";
import { differences, leftovers, makeSparseFile, makeTree } from "./lib/tree.ts";

/** Trees with everything that a tree has, up and down, equal in content, mode, time to the nanosecond, links and holes. */
let pair: Pair;

beforeAll(async () => {
  pair = await startPair();
  const tree = pair.scratch.at("tree");
  await makeTree(tree, { files: 1500, seed: "trees", largestFile: 256 << 10 });
  await makeSparseFile(`${tree}/sparse`, 64 << 20);
  await writeRandomFile(`${tree}/large`, (24 << 20) + 12_345, "large");
});

afterAll(() => pair?.[Symbol.asyncDispose]());

interface Receipt {
  readonly state: string;
  readonly transport: string;
  readonly sealed: boolean;
  readonly verified: string;
  readonly files: number;
  readonly errors: readonly object[];
}

describe.each([
  { transport: "udp", seal: "on" },
  { transport: "udp", seal: "off" },
  { transport: "tcp", seal: "on" },
  { transport: "tcp", seal: "off" },
])("over $transport, seal $seal", ({ transport, seal }) => {
  const name = `${transport}-${seal}`;
  const options = ["--json", "--transport", transport, "--seal", seal];

  test("up", async () => {
    const sent = await pair.ok(["cp", ...options, pair.scratch.at("tree"), `box:/${name}`]);
    expect(sent.json<Receipt>()).toMatchObject({
      state: "done",
      transport,
      sealed: seal === "on",
      verified: "blake3",
      files: 1502,
      errors: [],
    });
    expect(await differences(pair.scratch.at("tree"), `${pair.root}/${name}`)).toEqual([]);
    expect(await leftovers(pair.root)).toEqual([]);
  });

  test("down", async () => {
    const received = await pair.ok(["cp", ...options, `box:/${name}`, pair.scratch.at(`down-${name}`)]);
    expect(received.json<Receipt>()).toMatchObject({ state: "done", transport, files: 1502 });
    expect(await differences(pair.scratch.at("tree"), pair.scratch.at(`down-${name}`))).toEqual([]);
    expect(await leftovers(pair.scratch.at(`down-${name}`))).toEqual([]);
  });
});

test("a second run finds everything there, and a change alone is sent", async () => {
  const tree = pair.scratch.at("again");
  await makeTree(tree, { files: 50, seed: "again" });
  await pair.ok(["cp", tree, "box:/again"]);
  const idle = await pair.ok(["cp", "--json", tree, "box:/again"]);
  expect(idle.json()).toMatchObject({ files: 0, bytes: 0, skippedFiles: 50 });
  await writeFile(`${tree}/changed`, "new content");
  const one = await pair.ok(["cp", "--json", tree, "box:/again"]);
  expect(one.json()).toMatchObject({ files: 1, bytes: 11, skippedFiles: 50 });
  // A folder that was there is filled and otherwise left as it was.
  const found = await differences(tree, `${pair.root}/again`);
  expect(found.filter((line) => !line.startsWith(": mtime"))).toEqual([]);
});

test("local to local goes through the same engine", async () => {
  const [from, to] = [pair.scratch.at("tree"), pair.scratch.at("local-copy")];
  const copied = await pair.ok(["cp", "--json", from, to]);
  expect(copied.json<Receipt>()).toMatchObject({ state: "done", verified: "blake3", files: 1502 });
  expect(await differences(from, to)).toEqual([]);
});

test("several sources arrive under their names", async () => {
  await mkdir(pair.scratch.at("one"));
  await writeFile(pair.scratch.at("one", "a"), "a");
  await writeFile(pair.scratch.at("two"), "b");
  await pair.ok(["cp", pair.scratch.at("one"), pair.scratch.at("two"), "box:/several"]);
  const listed = await pair.ok(["ls", "--json", "-R", "box:/several"]);
  const paths = listed.json<{ path: string }[]>().map(({ path }) => path.replace(/^.*several\//, ""));
  expect(paths).toEqual(["one", "one/a", "two"]);
});
