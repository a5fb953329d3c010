import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { laneSample } from "../native/testing/lane-sample.ts";
import { openPathHistory } from "./path-history.ts";

const DAY_MS = 86_400_000;
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pb-paths-"));
});
afterEach(() => rm(folder, { recursive: true }));

const file = () => join(folder, "paths.json");
const lanes = (pathRate: number) => [laneSample({ pathRate, minRttNs: 50e6, packetsSent: 10 })];

describe("the history of paths", () => {
  it("is kept between processes, in a file for its owner alone", async () => {
    await openPathHistory(file()).learn("box", lanes(1e6));
    expect(await openPathHistory(file()).recall("box")).toMatchObject({
      minRttNs: 50e6,
      rateBytesPerSecond: 1e6,
    });
    expect(await openPathHistory(file()).recall("other")).toBeUndefined();
    expect((await stat(file())).mode & 0o777).toBe(0o600);
  });

  it("fades after a week", async () => {
    let now = 1e12;
    const history = openPathHistory(file(), () => now);
    await history.learn("box", lanes(1e6));
    now += 6 * DAY_MS;
    expect(await history.recall("box")).toBeDefined();
    now += DAY_MS;
    expect(await history.recall("box")).toBeUndefined();
  });

  it("is bounded: the oldest make room", async () => {
    let now = 1e12;
    const history = openPathHistory(file(), () => now++);
    await Promise.all(Array.from({ length: 300 }, (_, at) => history.learn(`p${at}`, lanes(1e6))));
    expect(Object.keys(JSON.parse(await readFile(file(), "utf8")))).toHaveLength(256);
    expect(await history.recall("p0")).toBeUndefined();
    expect(await history.recall("p299")).toBeDefined();
  });

  it("learns nothing of a path that was not full, and what it holds stays", async () => {
    const history = openPathHistory(file());
    await history.learn("box", lanes(1e6));
    await history.learn("box", lanes(0));
    expect(await history.recall("box")).toMatchObject({ rateBytesPerSecond: 1e6 });
  });

  it("begins anew where the file is damaged, and fails nobody where it cannot be written", async () => {
    for (const text of ["{", "[3]", '{"box":{"rateBytesPerSecond":"x"}}', '{"box":null}', "null"]) {
      await writeFile(file(), text);
      const history = openPathHistory(file());
      expect(await history.recall("box")).toBeUndefined();
      await history.learn("box", lanes(2e6));
      expect(await history.recall("box")).toMatchObject({ rateBytesPerSecond: 2e6 });
    }
    await openPathHistory(join(folder, "no", "such", "folder")).learn("box", lanes(1e6));
  });
});
