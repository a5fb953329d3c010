import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EVENT, RECORD_SEPARATOR } from "../../model/trace.ts";
import { TraceFile } from "./file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pb-trace-file-"));
});
afterAll(() => rm(folder, { recursive: true }));

const record = (time: number) => ({ time, name: "a:b", data: { text: "x".repeat(100) } });

async function namesIn(path: string): Promise<unknown[]> {
  const [, , ...records] = (await readFile(path, "utf8")).split(RECORD_SEPARATOR);
  return records.map((text) => JSON.parse(text).name);
}

it("ends within its bound, and says so", async () => {
  const path = join(folder, "full");
  const file = await TraceFile.create(path, { title: "t", startedAt: new Date(0), maxBytes: 2_000 });
  for (let time = 0; time < 100; time += 1) file.add(record(time));
  await file.flush();
  await file.close();
  expect((await stat(path)).size).toBeLessThanOrEqual(2_000);
  const names = await namesIn(path);
  expect(names.length).toBeGreaterThan(5);
  expect(names.at(-1)).toBe(EVENT.full);
  expect(names.slice(0, -1).every((name) => name === "a:b")).toBe(true);
});

it("writes nothing more once it was discarded", async () => {
  const path = join(folder, "discarded");
  const file = await TraceFile.create(path, { title: "t", startedAt: new Date(0) });
  file.add(record(1));
  await file.flush();
  file.add(record(2));
  file.discard();
  file.add(record(3));
  await file.flush();
  await file.close();
  expect(await namesIn(path)).toEqual(["a:b"]);
});

it("names the file that cannot be made", async () => {
  const path = join(folder, "no", "such");
  const made = TraceFile.create(path, { title: "t", startedAt: new Date(0) });
  await expect(made).rejects.toMatchObject({ code: "io_error", path });
});
