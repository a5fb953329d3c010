import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { afterEach, beforeEach, expect, test } from "vitest";
import { addon, whole } from "./addon.ts";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pb-addon-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Loads the addon from a bundle in `folder`/dist, away from the checkout; gives the error as JSON. */
function loadElsewhere(): { code: string; message: string; hint: string } {
  const bundle = join(folder, "dist/addon.mjs");
  buildSync({
    entryPoints: [fileURLToPath(new URL("addon.ts", import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
  });
  const url = JSON.stringify(pathToFileURL(bundle).href);
  const program = `import(${url}).then(({ addon }) => addon()).catch(({ code, message, hint }) =>
    console.log(JSON.stringify({ code, message, hint })))`;
  return JSON.parse(spawnSync(process.execPath, ["-e", program], { encoding: "utf8" }).stdout);
}

test("the addon of this checkout has the package's version", () => {
  expect(addon().version()).toMatch(/^\d+\.\d+\.\d+$/);
});

test("a missing addon says what to run", () => {
  const error = loadElsewhere();
  expect(error.code).toBe("internal");
  expect(error.message).toContain(`${process.platform}-${process.arch}`);
  expect(error.hint).toContain("scripts/setup.mjs");
});

test("a broken addon names its file's trouble and what to run", () => {
  const native = join(folder, "native");
  mkdirSync(native);
  writeFileSync(join(native, `pb-node.${process.platform}-${process.arch}-gnu.node`), "not an addon");
  const error = loadElsewhere();
  expect(error.message).toContain("does not load");
  expect(error.hint).toContain("scripts/setup.mjs");
});

test("an addon of an older build says what it lacks and what to run", async () => {
  const older = whole({ version: () => "0.0.1" } as unknown as ReturnType<typeof addon>, "old.node");
  expect(older.version()).toBe("0.0.1");
  await expect(Promise.resolve(older)).resolves.toBe(older);
  expect(() => older.refuseDumps()).toThrow(
    expect.objectContaining({
      code: "internal",
      path: "old.node",
      message: expect.stringContaining("refuseDumps"),
      hint: expect.stringContaining("scripts/setup.mjs"),
    }),
  );
});
