/** `--verify full`: what was written is read again at the destination. */

import { mkdir, open, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { FolderChunksOptions } from "../backend/testing/folder-chunks.ts";
import { endpoint } from "./testing/endpoint.ts";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

let loop: Loopback;
/** What an endpoint does before each call. */
let before: NonNullable<FolderChunksOptions["before"]> = () => {};

const hooked: Pick<FolderChunksOptions, "before"> = { before: (call, path) => before(call, path) };

const LARGE = Buffer.alloc(5_000_000, "what is there is what was sent\n");
const options = { reread: true };

beforeAll(async () => {
  loop = await startLoopback({
    remotes: {
      ...endpoint("cloud", hooked),
      ...endpoint("tape", { ...hooked, parallel: false, order: "ascending" }),
    },
  });
  await mkdir(loop.at("here"));
  await writeFile(loop.at("here", "small"), "small");
  await writeFile(loop.at("here", "none"), "");
  await writeFile(loop.at("here", "large"), LARGE);
  await transfer(loop, { from: loop.at("here"), to: "box:/all" });
  await transfer(loop, { from: loop.at("here"), to: "cloud:/all" });
});
afterAll(() => loop[Symbol.asyncDispose]());
beforeEach(() => {
  before = () => {};
});

it.each([
  ["up", () => loop.at("here"), () => "box:/up"],
  ["down", () => "box:/all", () => loop.at("down")],
  ["within this machine", () => loop.at("here"), () => loop.at("local")],
  ["within a server", () => "box:/all", () => "box:/within"],
  ["between servers", () => "box:/all", () => "other:/between"],
  ["to an endpoint", () => loop.at("here"), () => "cloud:/up"],
  ["to one that is read in order", () => "box:/all", () => "tape:/up"],
  ["from one", () => "cloud:/all", () => "box:/from"],
])("%s: the receipt says that it was read again", async (_name, from, to) => {
  const { receipt } = await transfer(loop, { from: from(), to: to(), options });
  expect(receipt).toMatchObject({ state: "done", errors: [], files: 3n, verified: "blake3+reread" });
});

/** The first byte of what is being written beside a file becomes another. */
async function spoil(file: string): Promise<void> {
  const folder = dirname(file);
  const part = (await readdir(folder)).find((name) => name.endsWith(".part")) ?? "";
  const handle = await open(join(folder, part), "r+");
  await handle.write("X", 0);
  await handle.close();
}

it.each(["small", "large"])("an endpoint that stores other bytes than it was given: %s", async (name) => {
  before = async (call, path) => {
    if (call === "commit") await spoil(loop.at("cloud", path));
  };
  const from = loop.at("here", name);
  await mkdir(loop.at("cloud", `bad-${name}`));
  // It is one that does, and is believed otherwise.
  expect((await transfer(loop, { from, to: `cloud:/bad-${name}/f` })).receipt?.state).toBe("done");
  expect((await readFile(loop.at("cloud", `bad-${name}`, "f")))[0]).toBe("X".charCodeAt(0));
  const to = `cloud:/bad-${name}/g`;
  const { receipt } = await transfer(loop, { from, to, options, move: true });
  expect([receipt?.state, receipt?.errors.map(({ code }) => code)]).toEqual([
    "failed",
    ["verification_failed"],
  ]);
  expect(receipt?.removedSources).toBe(0n);
  expect(await readFile(from)).toHaveLength(name === "small" ? 5 : LARGE.length);
  // It has the right size and time: the next run would have left it there.
  expect(await readdir(loop.at("cloud", `bad-${name}`))).toEqual(["f"]);
});

it("a disk that has other bytes than were written to it", async () => {
  const target = loop.at("disk", "large");
  let reads = 0;
  before = async (call) => {
    if (call !== "read") return;
    reads += 1;
    if (reads !== 5) return;
    await expect.poll(() => firstByte(dirname(target)), { timeout: 5_000 }).toBe("w");
    await spoil(target);
  };
  await mkdir(dirname(target));
  const { receipt } = await transfer(loop, { from: "cloud:/all/large", to: target, options });
  expect([receipt?.state, receipt?.errors.map(({ code }) => code)]).toEqual([
    "failed",
    ["verification_failed"],
  ]);
  expect(await readdir(dirname(target))).toEqual([]);
});

async function firstByte(folder: string): Promise<string> {
  const [part = ""] = await readdir(folder);
  return (await readFile(join(folder, part)).catch(() => Buffer.from(" "))).toString("latin1", 0, 1);
}
