import { expect, test } from "vitest";
import { PbError } from "../../model/error.ts";
import { type Fixture, namesBelow, never, refused, type Traits } from "./fixture.ts";

export function changing(current: () => Fixture, { permissions, showsHidden = true }: Traits): void {
  const mkdir = (path: string, parents: boolean, mode?: number) =>
    current().backend.mkdir(path, { parents, signal: never, ...(mode === undefined ? {} : { mode }) });
  const rename = (from: string, to: string, replace = false) =>
    current().backend.rename(from, to, { replace, signal: never });
  const remove = (path: string, recursive: boolean) =>
    current().backend.remove(path, { recursive, signal: never });

  test("mkdir", async () => {
    const { place } = current();
    expect(await mkdir("d", false)).toBe(true);
    expect((await refused("exists", mkdir("d", false))).path).toBe("d");
    await refused("not_found", mkdir("none/d", false));
    await place.write("f", "");
    await refused("exists", mkdir("f", true));
    await refused("not_a_directory", mkdir("f/d", true));
  });

  test("mkdir with parents", async () => {
    const { backend } = current();
    expect(await mkdir("a/b/c", true)).toBe(true);
    expect(await mkdir("a/b/c", true)).toBe(false);
    expect(await namesBelow(backend, "")).toEqual(["a", "a/b", "a/b/c"]);
  });

  if (permissions)
    test("mkdir with a mode", async () => {
      const { backend } = current();
      await mkdir("d", false, 0o750);
      expect((await backend.stat("d", { follow: false, signal: never })).mode).toBe(0o750);
    });

  test("touch makes an empty file, stamps an existing one", async () => {
    const { backend, place } = current();
    const touch = (options: { mtimeNs?: bigint; create: boolean }) =>
      backend.touch("f", { ...options, signal: never });
    await refused("not_found", touch({ create: false }));
    await touch({ create: true });
    expect(await place.read("f")).toBe("");
    await place.write("f", "kept");
    if (backend.capabilities.setMtime !== true) {
      await refused("unsupported", touch({ mtimeNs: 1_000_000_000n, create: true }));
      expect(await place.read("f")).toBe("kept");
      return;
    }
    await touch({ mtimeNs: 1_000_000_000n, create: true });
    const stamped = await backend.stat("f", { follow: false, signal: never });
    expect(stamped.mtimeNs).toBe(1_000_000_000n);
    await touch({ create: true });
    const now = await backend.stat("f", { follow: false, signal: never });
    expect(now.mtimeNs).toBeGreaterThan(1_000_000_000n);
    expect(await place.read("f")).toBe("kept");
  });

  test("rename within a folder and into another", async () => {
    const { place } = current();
    await place.write("a", "content");
    await rename("a", "b");
    await mkdir("d", false);
    await rename("b", "d/c");
    expect(await place.read("d/c")).toBe("content");
    expect(await place.exists("a")).toBe(false);
    await rename("d", "e");
    expect(await place.read("e/c")).toBe("content");
  });

  test("rename replaces only when told to", async () => {
    const { place } = current();
    await place.write("a", "new");
    await place.write("b", "old");
    await refused("exists", rename("a", "b"));
    expect(await place.read("b")).toBe("old");
    await rename("a", "b", true);
    expect(await place.read("b")).toBe("new");
    await refused("not_found", rename("a", "c"));
    await refused("not_found", rename("b", "none/c"));
  });

  test("remove a file and an empty folder", async () => {
    const { place } = current();
    await place.write("d/f", "");
    expect(await remove("d/f", false)).toEqual({ files: 1, directories: 0 });
    if (!showsHidden) await refused("not_empty", remove("d", false));
    expect(await remove("d", !showsHidden)).toEqual({ files: 0, directories: 1 });
    await refused("not_found", remove("d", true));
  });

  test("a folder that only looks empty stays", async () => {
    const { place } = current();
    await place.write("a/1", "");
    expect(await remove("a/1", false)).toEqual({ files: 1, directories: 0 });
    for (const folder of ["d", "a"]) {
      await place.write(`${folder}/.hidden`, "kept");
      await refused("not_empty", remove(folder, false));
      expect(await place.read(`${folder}/.hidden`)).toBe("kept");
    }
    await place.write("e/2", "");
    await expect(rename("e", "d", true)).rejects.toThrow(PbError);
    expect(await place.read("d/.hidden")).toBe("kept");
    expect(await place.exists("e/2")).toBe(true);
  });

  test("remove a tree only when told to", async () => {
    const { place } = current();
    for (const path of ["t/a/b/1", "t/a/2", "t/3"]) await place.write(path, "");
    await refused("not_empty", remove("t", false));
    expect(await place.exists("t/a/b/1")).toBe(true);
    expect(await remove("t", true)).toEqual({ files: 3, directories: 3 });
    expect(await place.exists("t")).toBe(false);
  });
}
