/** Uploads to endpoints without an engine that stop half-way, and what the next run makes of what is there. */

import { mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { partName } from "../backend/part-name.ts";
import { Resume } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { nameTag } from "../run/strays.ts";
import { endpoint } from "./testing/endpoint.ts";
import { type Ended, type Loopback, startLoopback, transfer } from "./testing/loopback.ts";

let loop: Loopback;
/** Writes after so many fail as those to an endpoint that is not reached do. */
let writes = Number.POSITIVE_INFINITY;
const calls: string[] = [];

const before = async (call: string, path: string) => {
  calls.push(`${call} ${path}`);
  if (call !== "write" || !path.endsWith("large")) return;
  writes -= 1;
  if (writes >= 0) return;
  await sleep(SILENT_MS);
  throw new PbError("timeout", "nothing is heard of it");
};

beforeAll(async () => {
  loop = await startLoopback({
    remotes: {
      ...endpoint("cloud", { before }),
      ...endpoint("tape", { before, parallel: false, order: "ascending", maxCalls: 3 }),
      ...endpoint("parts", { before, blockBytes: 5 << 20 }),
    },
  });
});
afterAll(() => loop[Symbol.asyncDispose]());
beforeEach(() => {
  writes = Number.POSITIVE_INFINITY;
  calls.length = 0;
});

const SIZE = 11_000_000;
const LARGE = Buffer.alloc(SIZE, "what is there is not sent again, and what is not there is\n");
/** In which half of it is there, on a busy machine, too. */
const DEADLINE_MS = 3_000n;
/** All tries of a call take longer than the deadline. */
const SILENT_MS = 1_000;
const HALF = { cloud: 6, tape: 2, parts: 1 } as const;
type Name = keyof typeof HALF;

let count = 0;
async function source(from: "here" | "box"): Promise<{ file: string; place: string; tree: string }> {
  count += 1;
  const tree = `t${count}`;
  const folder = loop.at(from, tree);
  await mkdir(folder, { recursive: true });
  const file = join(folder, "large");
  await writeFile(file, LARGE);
  await writeFile(join(folder, "small"), "small");
  return { file, place: from === "here" ? folder : `box:/${tree}`, tree };
}

/** A run that gets half of it there. */
async function half(name: Name, { place, tree }: { place: string; tree: string }): Promise<Ended> {
  writes = HALF[name];
  const ended = await transfer(loop, { from: place, to: `${name}:/${tree}`, deadlineMs: DEADLINE_MS });
  writes = Number.POSITIVE_INFINITY;
  expect([ended.receipt?.state, ...(ended.receipt?.errors ?? []).map(({ code }) => code)]).toEqual([
    "failed",
    "timeout",
  ]);
  return ended;
}

const left = async (name: Name, tree: string) => (await readdir(loop.at(name, tree))).sort();
const isPart = (each: string) => /^\.pb-[0-9a-f]{16}\.part$/.test(each);

async function isWhole(name: Name, tree: string, content: Buffer = LARGE): Promise<void> {
  expect(await left(name, tree)).toEqual(["large", "small"]);
  expect((await readFile(loop.at(name, tree, "large"))).equals(content)).toBe(true);
}

describe("an upload that stopped half-way", () => {
  it.each([
    ["here", "cloud"],
    ["here", "tape"],
    ["here", "parts"],
    ["box", "cloud"],
    ["box", "tape"],
  ] as const)("goes on from %s to %s", async (from, to) => {
    const spot = await source(from);
    await half(to, spot);
    const after = await left(to, spot.tree);
    expect([after.length, after.filter(isPart).length]).toEqual([2, 1]);
    calls.length = 0;
    const done = await transfer(loop, { from: spot.place, to: `${to}:/${spot.tree}` });
    expect({ state: done.receipt?.state, errors: done.receipt?.errors }).toEqual({
      state: "done",
      errors: [],
    });
    // The small file, too.
    expect([done.receipt?.resumedFiles, done.receipt?.redoneFiles]).toEqual([2n, 0n]);
    expect(done.receipt?.resumedBytes).toBeGreaterThan(1_500_000n);
    expect(done.receipt?.resumedBytes).toBeLessThan(BigInt(SIZE));
    expect(calls.filter((call) => call.startsWith("writeWhole"))).toEqual([]);
    await isWhole(to, spot.tree);
  });

  it("is begun anew when the source has changed, and nothing of it stays", async () => {
    const spot = await source("here");
    await half("cloud", spot);
    const other = Buffer.from(LARGE).fill("x", 0, 9_000_000);
    await writeFile(spot.file, other);
    const done = await transfer(loop, { from: spot.place, to: `cloud:/${spot.tree}` });
    expect([done.receipt?.state, done.receipt?.redoneFiles]).toEqual(["done", 1n]);
    expect(done.receipt?.redone.map(({ reason }) => reason)).toEqual(["source_changed"]);
    await isWhole("cloud", spot.tree, other);
  });

  it.each([
    ["part_lost", (part: string) => rm(part)],
    ["part_changed", (part: string) => truncate(part, 1_000_000)],
  ] as const)("is begun anew when the endpoint has lost it: %s", async (reason, lose) => {
    const spot = await source("here");
    await half("cloud", spot);
    const [part = ""] = (await left("cloud", spot.tree)).filter(isPart);
    await lose(loop.at("cloud", spot.tree, part));
    const done = await transfer(loop, { from: spot.place, to: `cloud:/${spot.tree}` });
    expect([done.receipt?.state, done.receipt?.redone.map((each) => each.reason)]).toEqual([
      "done",
      [reason],
    ]);
    await isWhole("cloud", spot.tree);
  });

  it("is looked through at its end for what a call that was under way has left", async () => {
    const spot = await source("here");
    const { receipt } = await half("cloud", spot);
    const stray = loop.at("cloud", spot.tree, partName(nameTag(receipt?.jobId ?? "")));
    await writeFile(stray, "as the endpoint made it after nobody waited");
    await transfer(loop, { from: spot.place, to: `cloud:/${spot.tree}` });
    await isWhole("cloud", spot.tree);
  });

  it("takes its part along when it is not to go on", async () => {
    const spot = await source("here");
    await half("cloud", spot);
    const to = `cloud:/${spot.tree}`;
    const done = await transfer(loop, { from: spot.place, to, resume: Resume.NEVER });
    expect([done.receipt?.state, done.receipt?.resumedBytes]).toEqual(["done", 0n]);
    await isWhole("cloud", spot.tree);
  });

  it("looks whether what it had finished is still there as it was", async () => {
    const spot = await source("here");
    await half("cloud", spot);
    const small = loop.at("cloud", spot.tree, "small");
    await writeFile(small, "other");
    await utimes(small, 1_000, 1_000);
    const done = await transfer(loop, { from: spot.place, to: `cloud:/${spot.tree}` });
    expect(done.receipt?.redone.map((each) => each.reason)).toEqual(["destination_changed"]);
    expect((await stat(small)).size).toBe(5);
    expect(await readFile(small, "utf8")).toBe("small");
    await isWhole("cloud", spot.tree);
  });
});
