/** A standard stream into and out of real endpoints: its length is known at its end. */
import { closeSync, openSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RealEndpoint, SERVERS } from "../../test/servers/endpoints.ts";
import { type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

const present = SERVERS.filter(({ missing }) => missing === undefined);
const absent = SERVERS.filter(({ missing }) => missing !== undefined);

/** More than a part of a stream at S3, and no whole number of chunks. */
const LARGE = Buffer.alloc(17 * 1024 * 1024 + 12_345, "what goes in one end comes out of the other\n");

/** Where a part lies beside the file while it is written. */
const SHOWS = new Set(["sftp", "ftp"]);

describe("a stream of unknown length", () => {
  let loop: Loopback;
  const endpoints = new Map<string, RealEndpoint>();

  beforeAll(async () => {
    for (const { name, start } of present) endpoints.set(name, await start());
    const remotes = Object.fromEntries([...endpoints].map(([name, { open }]) => [name, open]));
    loop = await startLoopback({ remotes });
    await mkdir(loop.at("here"));
  }, 60_000);
  afterAll(async () => {
    await loop?.[Symbol.asyncDispose]();
    await Promise.allSettled([...endpoints.values()].map((each) => each.stop()));
  });

  const rootOf = (name: string) => endpoints.get(name)?.root ?? "";

  it.each(
    present.flatMap(({ name }) => [
      [name, "nothing", Buffer.alloc(0)] as const,
      [name, "a line", Buffer.from("a line\n")] as const,
      [name, "many megabytes", LARGE] as const,
    ]),
  )("goes into %s (%s), and out of it", async (name, what, content) => {
    const file = loop.at("here", "in");
    await writeFile(file, content);
    const sourceFd = openSync(file, "r");
    const to = `${name}:/${what.replaceAll(" ", "-")}`;
    // Little memory: a stream holds back who writes it.
    const up = await transfer(loop, { sourceFd, to, options: { memoryBytes: 16n << 20n } });
    closeSync(sourceFd);
    expect([up.error?.message, up.receipt?.errors.map(({ message }) => message)]).toEqual([undefined, []]);
    expect([up.receipt?.state, up.receipt?.bytes]).toEqual(["done", BigInt(content.length)]);
    const there = await readFile(join(rootOf(name), what.replaceAll(" ", "-")));
    expect(there.equals(content)).toBe(true);

    const destinationFd = openSync(loop.at("here", "out"), "w");
    const down = await transfer(loop, { from: to, destinationFd });
    closeSync(destinationFd);
    expect([down.error?.message, down.receipt?.state]).toEqual([undefined, "done"]);
    expect((await readFile(loop.at("here", "out"))).equals(content)).toBe(true);
  });

  it.each(present.map(({ name }) => [name]))("that ends early leaves nothing at %s", async (name) => {
    const folder = join(rootOf(name), `early-${name}`);
    await mkdir(folder);
    const stop = new AbortController();
    const sourceFd = openSync("/dev/zero", "r");
    let begun: readonly string[] = [];
    // A server that shows what it has before it is whole has been seen to have something.
    const looking = setInterval(async () => {
      begun = begun.length > 0 ? begun : await readdir(folder);
      if (begun.length > 0) stop.abort();
    }, 50);
    const late = setTimeout(() => stop.abort(), SHOWS.has(name) ? 10_000 : 700);
    const to = `${name}:/early-${name}/file`;
    const limited = { limitBytesPerSecond: 16_000_000n };
    const ended = await transfer(loop, { sourceFd, to, signal: stop.signal, options: limited });
    clearInterval(looking);
    clearTimeout(late);
    expect(ended.error?.code).toBe("aborted");
    expect(begun.length > 0).toBe(SHOWS.has(name));
    await expect.poll(() => readdir(folder), { timeout: 8_000 }).toEqual([]);
    closeSync(sourceFd);
  });

  if (absent.length > 0) {
    const missing = absent.map(({ name, missing: why }) => `${name}: ${why}`).join("; ");
    it.skip(`at servers that are not here (SKIPPED: ${missing})`, () => {});
  }
});
