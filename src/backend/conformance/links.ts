import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { pathText } from "../../model/path.ts";
import { CANARY, collect, type Fixture, namesBelow, never } from "./fixture.ts";
import { allRefused } from "./refusing.ts";

const FLAT = { recursive: false, follow: false, signal: never } as const;
const DEEP = { recursive: true, follow: false, signal: never } as const;

/** Where `capabilities.links`. */
export function links(current: () => Fixture): void {
  test("a link as a link, or as what it points to", async () => {
    const { backend, place } = current();
    await place.write("f", "123");
    await place.link("l", "f");
    const link = await backend.stat("l", { follow: false, signal: never });
    expect(link).toMatchObject({ kind: "symlink", linkTarget: "f", size: 0 });
    const target = await backend.stat("l", { follow: true, signal: never });
    expect(target).toMatchObject({ kind: "file", size: 3 });
    const { entries } = await collect(backend.list("", { ...FLAT, follow: true }));
    expect(entries.map(({ path, kind }) => [path, kind])).toEqual([
      ["f", "file"],
      ["l", "file"],
    ]);
  });

  test("the folder that a link leads to, a dangling link as itself", async () => {
    const { backend, place } = current();
    await place.write("d/f", "");
    await place.link("l", "d");
    await place.link("dangling", "none");
    expect(await namesBelow(backend, "l")).toEqual(["f"]);
    const { entries } = await collect(backend.list("dangling", FLAT));
    expect(entries.map(({ path, kind }) => [path, kind])).toEqual([["", "symlink"]]);
  });

  test("links that loop, once", async () => {
    const { backend, place } = current();
    await place.write("d/f", "");
    await place.link("d/up", "..");
    expect(await namesBelow(backend, "")).toEqual(["d", "d/f", "d/up"]);
    const followed = await collect(backend.list("", { ...DEEP, follow: true }));
    expect(followed.entries.map((entry) => entry.path)).toEqual(["d", "d/f", "d/up"]);
    expect(followed.errors.map((error) => error.path)).toEqual(["d/up"]);
  });

  test("in link targets", async () => {
    const { backend, place } = current();
    const target = pathText(Buffer.from([0xff, 0x0a, 0x2f, 0x1b]));
    await place.link("l", target);
    const entry = await backend.stat("l", { follow: false, signal: never });
    expect(entry.linkTarget).toBe(target);
  });

  test("as things of their own to remove, never what they lead to", async () => {
    const { backend, place } = current();
    await place.write("d/f", "");
    await place.link("l", "d");
    await place.link("t/out", "../../outside");
    expect(await backend.remove("l", { recursive: true, signal: never })).toEqual({
      files: 1,
      directories: 0,
    });
    expect(await backend.remove("t", { recursive: true, signal: never })).toEqual({
      files: 1,
      directories: 1,
    });
    expect(await place.exists("d/f")).toBe(true);
    expect(await readFile(place.canary, "utf8")).toBe(CANARY);
  });

  test.each([
    ["relative", () => "../outside"],
    ["winding", () => "a/../../outside"],
    ["absolute", (canary: string) => canary.slice(0, canary.lastIndexOf("/"))],
  ])("a link that leads out (%s) in every call", async (_what, target) => {
    const { backend, place } = current();
    await place.write("a/b", "");
    await place.write("inside", "");
    await place.link("link", target(place.canary));
    await allRefused(backend, "link", "path_escapes");
    expect((await backend.stat("link", { follow: false, signal: never })).kind).toBe("symlink");
    expect(await backend.remove("link", { recursive: true, signal: never })).toEqual({
      files: 1,
      directories: 0,
    });
  });

  test("to follow a link out of the root while listing", async () => {
    const { backend, place } = current();
    await place.link("d/link", "../../outside");
    const listed = await collect(backend.list("", { recursive: true, follow: true, signal: never }));
    expect(listed.entries.map((entry) => entry.path)).toEqual(["d"]);
    expect(listed.errors.map(({ code, path }) => [code, path])).toEqual([["path_escapes", "d/link"]]);
  });
}
