import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

let loop: Loopback;
beforeAll(async () => {
  loop = await startLoopback();
  await mkdir(loop.at("here", "sub"), { recursive: true });
  await writeFile(loop.at("here", "sub", "small"), "small");
  await writeFile(loop.at("here", "large"), Buffer.alloc(900_000, 7));
});
afterAll(() => loop[Symbol.asyncDispose]());

const options = { discard: true };

it.each([
  ["up", () => loop.at("here"), "box:/up/deep"],
  ["down", "box:/all", () => loop.at("down")],
  ["within this machine", () => loop.at("here"), () => loop.at("local")],
  ["within a server", "box:/all", "box:/within"],
  ["between servers", "box:/all", "other:/between"],
])("%s: all is verified, nothing appears", async (_name, from, to) => {
  const text = (place: string | (() => string)) => (typeof place === "string" ? place : place());
  await transfer(loop, { from: loop.at("here"), to: "box:/all" });
  const { receipt } = await transfer(loop, { from: text(from), to: text(to), options });
  expect(receipt).toMatchObject({ state: "done", files: 2n, bytes: 900_005n, discarded: true, fsync: false });
  expect(receipt?.hashes).toHaveLength(2);
  expect(await readdir(loop.box.folder)).toEqual(["all"]);
  expect(await readdir(loop.other.folder)).toEqual([]);
  expect(await readdir(loop.folder)).not.toEqual(expect.arrayContaining(["down"]));
  expect(await readdir(loop.folder)).not.toEqual(expect.arrayContaining(["local"]));
});

it("takes what would be skipped for what it is, and touches nothing", async () => {
  await mkdir(join(loop.box.folder, "kept"), { recursive: true });
  await writeFile(join(loop.box.folder, "kept", "large"), "as it was");
  const never = { ...options, overwrite: 4 };
  const { receipt } = await transfer(loop, { from: loop.at("here"), to: "box:/kept", options: never });
  expect(receipt).toMatchObject({ state: "done", files: 1n, skippedFiles: 1n });
  expect(await readFile(join(loop.box.folder, "kept", "large"), "utf8")).toBe("as it was");
});

it("needs the right to write, and never moves", async () => {
  const moved = await transfer(loop, { from: loop.at("here"), to: "box:/x", move: true, options });
  expect(moved.error?.code).toBe("invalid_argument");
  const away = await transfer(loop, { from: "box:/all", to: loop.at("x"), move: true, options });
  expect(away.error?.code).toBe("invalid_argument");
  const { caller } = loop.box;
  loop.box.caller = { ...caller, readOnly: true };
  try {
    const refused = await transfer(loop, { from: loop.at("here"), to: "box:/x", options });
    expect(refused.error?.code ?? refused.receipt?.errors[0]?.code).toBe("read_only");
  } finally {
    loop.box.caller = caller;
  }
});
