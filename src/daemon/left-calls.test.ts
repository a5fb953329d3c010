import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openJobs } from "./jobs/store.ts";
import { endpoint } from "./testing/endpoint.ts";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

const BYTES = Buffer.alloc(24_000_000, "some bytes ");
let loop: Loopback;
/** What the endpoint does before each call. */
let before: (call: string) => Promise<void> | void = () => {};

beforeAll(async () => {
  loop = await startLoopback({ remotes: endpoint("cloud", { before: (call) => before(call) }) });
  await mkdir(loop.at("cloud"), { recursive: true });
  for (const place of ["cloud", "box"]) await writeFile(loop.at(place, "big"), BYTES);
});
afterAll(() => loop[Symbol.asyncDispose]());

it.each([
  ["cloud:/big", "an endpoint"],
  ["box:/big", "a server"],
])("a download from %s (%s) that is left through its call is paused at once, and goes on", async (from) => {
  const target = loop.at(`of-${from.split(":")[0]}`);
  const stop = new AbortController();
  let reads = 0;
  before = async (call) => {
    if (call !== "read") return;
    reads += 1;
    if (reads === 8) setTimeout(() => stop.abort(), 100);
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const limited = from.startsWith("box") ? { options: { limitBytesPerSecond: 8_000_000n } } : {};
  if (from.startsWith("box")) setTimeout(() => stop.abort(), 1_000);
  const left = await transfer(loop, { from, to: target, signal: stop.signal, ...limited });
  expect(left.error?.code).toBe("aborted");
  const store = openJobs(join(loop.folder, "home"));
  const states = async () => (await store.list()).jobs.map(({ status }) => status);
  await expect.poll(states, { timeout: 5_000 }).not.toContain("running");
  expect((await states())[0]).toBe("paused");

  before = () => {};
  const again = await transfer(loop, { from, to: target });
  expect(again.receipt?.state).toBe("done");
  expect((await readFile(target)).equals(BYTES)).toBe(true);
});
