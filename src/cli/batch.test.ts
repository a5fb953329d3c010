import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readBatch } from "./batch.ts";

test("an option in a line is refused before anything is done, by its name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pb-batch-"));
  try {
    await writeFile(join(folder, "list"), "a box:/a\nb box:/b --exclude c\n");
    expect(() => readBatch("list", folder)).toThrow(
      expect.objectContaining({
        code: "usage",
        message: "list, line 2: --exclude: a line has places only",
        hint: expect.stringContaining("./-NAME"),
      }),
    );
    await writeFile(join(folder, "list"), "./-b box:/b\n");
    expect(readBatch("list", folder)).toEqual([{ line: 1, words: ["./-b", "box:/b"] }]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
