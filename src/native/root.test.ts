import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ErrorCode } from "../model/error.ts";
import { openRoot, rootHandle } from "./root.ts";

let top = "";

beforeEach(async () => {
  top = await realpath(await mkdtemp(join(tmpdir(), "pb-root-")));
  await mkdir(join(top, "in/side"), { recursive: true });
  await writeFile(join(top, "out"), "outside");
});

afterEach(() => rm(top, { recursive: true, force: true }));

function refused(code: ErrorCode, call: Promise<unknown>): Promise<void> {
  return expect(call).rejects.toMatchObject({ name: "PbError", code });
}

const open = (writable = true) => openRoot({ directory: join(top, "in"), resolve: "beneath", writable });

test("a root that is not there, or no folder, is named", async () => {
  const at = (directory: string) => openRoot({ directory, resolve: "beneath", writable: true });
  await expect(at(join(top, "none"))).rejects.toMatchObject({ code: "not_found", path: join(top, "none") });
  await refused("not_a_directory", at(join(top, "out")));
  await refused("invalid_path", at("a\0b"));
});

test("errors carry code, path and cause, and a text without the path", async () => {
  const root = await open();
  const error = await root.rename("none\n", "x", { replace: false }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: "not_found", path: "none\n", message: "no such file or folder" });
  expect((error as Error).cause).toMatchObject({ code: "not_found" });
  root.close();
});

test("the user's own file system follows links anywhere", async () => {
  await symlink(join(top, "out"), join(top, "in/link"));
  const beneath = await open();
  await refused("path_escapes", beneath.stat("link", { follow: true }));
  const host = await openRoot({ directory: "/", resolve: "host", writable: false });
  expect(await host.stat(join(top, "in/link"), { follow: true })).toMatchObject({ kind: "file", size: 7 });
  expect(await host.readLink(join(top, "in/link"))).toBe(join(top, "out"));
});

test("a narrowed root can do no more than its own", async () => {
  const root = await open(false);
  const sub = await root.sub("side", { writable: true });
  expect(sub.writable).toBe(false);
  await refused("read_only", sub.touch("f", { create: true }));
  await refused("path_escapes", sub.stat("../side", { follow: true }));
  const writable = await (await open()).sub("/side/", { writable: true });
  await writable.touch("f", { create: true });
  expect(await readdir(join(top, "in/side"))).toEqual(["f"]);
});

test("a closed root refuses, and is closed once", async () => {
  const root = await open();
  root.close();
  root.close();
  await refused("aborted", root.stat("", { follow: true }));
});

test("a time beyond 64 bits of nanoseconds is refused", async () => {
  const root = await open();
  await refused("invalid_argument", root.touch("f", { mtimeNs: 2n ** 63n, create: true }));
  expect(await readdir(join(top, "in"))).toEqual(["side"]);
});

test("an aborted removal ends before the tree does", async () => {
  await writeFile(join(top, "in/side/f"), "");
  const root = await open();
  const removal = root.remove("side", { recursive: true, signal: AbortSignal.abort() });
  await refused("aborted", removal);
  expect(await readdir(join(top, "in/side"))).toEqual(["f"]);
});

test("free space in bytes", async () => {
  const { available, total } = await (await open()).freeSpace("side");
  expect(total).toBeGreaterThan(0);
  expect(available).toBeLessThanOrEqual(total);
});

test("only roots of the engine have a handle", async () => {
  expect(rootHandle(await open())).toBeDefined();
  expect(() => rootHandle({ close() {} })).toThrow(expect.objectContaining({ code: "internal" }));
});
