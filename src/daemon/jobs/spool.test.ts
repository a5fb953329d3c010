import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openCheckpoint } from "../../checkpoint/checkpoint.ts";
import { inspectCheckpoint } from "../../checkpoint/inspect.ts";
import { openSpool, removeSpool } from "./spool.ts";

const ID = "0a1b2c3d-0000-4000-8000-000000000000";
let spoolParent: string;
const deps = () => ({ spoolParent, checkpoints: { open: openCheckpoint, inspect: inspectCheckpoint } });

beforeEach(async () => {
  spoolParent = await mkdtemp(join(tmpdir(), "pb-spool-test-"));
});
afterEach(() => rm(spoolParent, { recursive: true }));

test("a job finds its folder again, until this machine was started anew", async () => {
  const { folder } = await openSpool(deps(), ID);
  await mkdir(join(folder, "0"));
  expect((await openSpool(deps(), ID)).folder).toBe(folder);
  expect((await readdir(folder)).sort()).toEqual(["0", "boot"]);
  // As it was left by the boot before.
  await writeFile(join(folder, "boot"), "another");
  await openSpool(deps(), ID);
  expect(await readdir(folder)).toEqual(["boot"]);
  await removeSpool(deps(), ID);
  await removeSpool(deps(), ID);
  expect(await readdir(spoolParent)).toEqual([]);
});

test("a folder that others may write to is not used", async () => {
  const { folder } = await openSpool(deps(), ID);
  await chmod(folder, 0o777);
  await expect(openSpool(deps(), ID)).rejects.toMatchObject({ code: "permission_denied", path: folder });
});
