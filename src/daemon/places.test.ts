import { mkdir, readdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { removeFolders, testFolder } from "../../test/support/server.ts";
import type { Backend } from "../backend/backend.ts";
import { createLocalBackend } from "../backend/local/backend.ts";
import type { Caller } from "../model/identity.ts";
import { openRoot } from "../native/root.ts";
import { createPlaces, type Places } from "./places.ts";

const signal = new AbortController().signal;
const error = (code: string) => expect.objectContaining({ code });
const anyone: Caller = { clientId: "a", name: "a", readOnly: false, path: "/" };

let folder: string;
let places: Places;
beforeEach(async () => {
  folder = await testFolder();
  await mkdir(join(folder, "plain/data"), { recursive: true });
  await writeFile(join(folder, "plain/data/hidden"), "");
  await writeFile(join(folder, "plain/x"), "");
  await mkdir(join(folder, "data/sub"), { recursive: true });
  await writeFile(join(folder, "data/sub/f"), "");
  places = await open(["", "data"]);
});
afterEach(() => places.close());
afterAll(removeFolders);

async function open(names: readonly string[]): Promise<Places> {
  const roots = names.map(async (name) => ({
    name,
    root: await openRoot({ directory: join(folder, name || "plain"), resolve: "beneath", writable: true }),
  }));
  return createPlaces({ roots: await Promise.all(roots), backend: (root) => createLocalBackend({ root }) });
}

async function listed(backend: Backend, path: string, maxDepth = 0): Promise<string[]> {
  const paths: string[] = [];
  for await (const batch of backend.list(path, { recursive: true, maxDepth, follow: false, signal })) {
    paths.push(...batch.entries.map((entry) => entry.path));
  }
  return paths;
}

describe("the name space of a server", () => {
  it("shows the named roots beside the content of the one without a name", async () => {
    const { backend, path } = await places.spot(anyone, "/");
    expect(await listed(backend, path)).toEqual(["x", "data", "data/sub", "data/sub/f"]);
    expect(await listed(backend, path, 1)).toEqual(["x", "data"]);
    expect(await listed(backend, path, 2)).toEqual(["x", "data", "data/sub"]);
    expect((await backend.stat("", { follow: false, signal })).kind).toBe("directory");
    await expect(backend.remove("", { recursive: true, signal })).rejects.toThrow(error("read_only"));
  });

  it("leads to the root that a path begins with", async () => {
    const { backend, path, above } = await places.spot(anyone, "//data/./sub/f");
    expect([path, above]).toEqual(["sub/f", "/data/"]);
    expect((await backend.stat(path, { follow: false, signal })).kind).toBe("file");
    expect((await places.spot(anyone, "/x")).backend).not.toBe(backend);
    expect((await places.spot(anyone, "/data/other")).backend).toBe(backend);
    const both = await places.spots(anyone, "/");
    expect(both.map(({ name, above: top }) => [name, top])).toEqual([
      ["", "/"],
      ["data", "/data/"],
    ]);
  });

  it("can consist of named roots only", async () => {
    await using named = await open(["data"]);
    const top = await named.spot(anyone, "");
    expect(await listed(top.backend, "", 1)).toEqual(["data"]);
    await expect(named.spot(anyone, "/x")).rejects.toThrow(error("not_found"));
  });

  it("confines a caller to a folder of a named root", async () => {
    const confined = { ...anyone, path: "/data/sub" };
    const { backend, path } = await places.spot(confined, "/");
    expect(await listed(backend, path)).toEqual(["f"]);
    await expect(places.spot(confined, "/../x")).rejects.toThrow(error("path_escapes"));
    await symlink("../../plain", join(folder, "data/sub/link"));
    const { backend: again } = await places.spot(confined, "/link/x");
    await expect(again.stat("link/x", { follow: true, signal })).rejects.toThrow(error("path_escapes"));
  });

  it("lets no link lead a confined caller out of the root", async () => {
    await symlink("../plain", join(folder, "data/alias"));
    await expect(places.spot({ ...anyone, path: "/data/alias" }, "/")).rejects.toThrow(error("path_escapes"));
  });

  it("notices that a caller's folder was replaced", async () => {
    const confined = { ...anyone, path: "/data/sub" };
    const before = await places.spot(confined, "/");
    expect((await places.spot(confined, "/")).backend).toBe(before.backend);
    await rename(join(folder, "data/sub"), join(folder, "data/old"));
    const gone = { code: "not_found", path: "/", message: expect.stringContaining("confined") };
    await expect(places.spot(confined, "/x")).rejects.toMatchObject(gone);
    await mkdir(join(folder, "data/sub"));
    const { backend } = await places.spot(confined, "/");
    await backend.touch("new", { create: true, signal });
    expect(await readdir(join(folder, "data/sub"))).toEqual(["new"]);
  });

  it("gives a reader no right to write", async () => {
    const { backend } = await places.spot({ ...anyone, readOnly: true }, "/data/x");
    expect(backend.capabilities.writable).toBe(false);
    await expect(backend.touch("x", { create: true, signal })).rejects.toThrow(error("read_only"));
  });
});
