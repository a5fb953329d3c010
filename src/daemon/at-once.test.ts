/** The same transfer given again while it runs: both run, and neither touches what the other has begun. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

let loop: Loopback;
beforeAll(async () => {
  loop = await startLoopback();
});
afterAll(() => loop[Symbol.asyncDispose]());

const SIZE = 6_000_000;
/** The first is under way for 5 s: the second has begun by then. */
const options = { limitBytesPerSecond: 1_200_000n, memoryBytes: 8n << 20n };

/** The temporary names in a folder once there are so many. */
async function parts(folder: string, count: number): Promise<string[]> {
  for (;;) {
    const names = (await readdir(folder)).filter((name) => name.endsWith(".part"));
    if (names.length >= count) return names;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it.each(["up", "down"])("%s: each under a name of its own, and the second says so", async (way) => {
  const [here, there] = [loop.at("here", way), loop.at("box", way)];
  const [source, target] = way === "up" ? [here, there] : [there, here];
  for (const folder of [source, target]) await mkdir(folder, { recursive: true });
  const content = randomBytes(SIZE);
  await writeFile(`${source}/file`, content);
  const words =
    way === "up" ? { from: `${here}/file`, to: `box:/${way}` } : { from: `box:/${way}/file`, to: here };
  const first = transfer(loop, { ...words, options });
  const [name] = await parts(target, 1);
  const second = transfer(loop, { ...words, options });
  const both = await parts(target, 2);
  expect(both).toContain(name);
  const receipts = (await Promise.all([first, second])).map(({ receipt }) => receipt);
  expect(receipts.map((receipt) => receipt?.state)).toEqual(["done", "done"]);
  const codes = receipts.map((receipt) => receipt?.notices.map(({ code }) => code));
  expect(codes).toEqual([[], ["also-running"]]);
  const arrived = await readFile(`${target}/file`);
  expect(arrived.equals(content)).toBe(true);
  expect(await readdir(target)).toEqual(["file"]);
});
