import { expect, test } from "vitest";
import { collect, type Fixture, namesBelow, never, refused, type Traits } from "./fixture.ts";

const FLAT = { recursive: false, follow: false, signal: never } as const;
const DEEP = { recursive: true, follow: false, signal: never } as const;

export function listing(current: () => Fixture, { changes = true, requestPerEntry = false }: Traits): void {
  test("a file's kind, size, mode and mtime", async () => {
    const { backend, place } = current();
    await place.write("d/f", "12345");
    const mtimeNs = 1_600_000_000_123_456_789n;
    const { mtimeResolutionNs, setMtime } = backend.capabilities;
    if (changes && setMtime === true) await backend.touch("d/f", { mtimeNs, create: false, signal: never });
    const entry = await backend.stat("d/f", { follow: true, signal: never });
    const unit = BigInt(mtimeResolutionNs);
    expect(entry).toMatchObject({ path: "", kind: "file", size: 5 });
    if (changes && setMtime === true) expect(entry.mtimeNs / unit).toBe(mtimeNs / unit);
    expect(entry.mode & 0o600).toBe(0o600);
    expect(entry.linkTarget).toBeUndefined();
    const folder = await backend.stat("d", { follow: true, signal: never });
    expect(folder).toMatchObject({ kind: "directory", size: 0 });
    const root = await backend.stat("", { follow: true, signal: never });
    expect(root.kind).toBe("directory");
  });

  test("a folder before its content, by the bytes of the names", async () => {
    const { backend, place } = current();
    for (const path of ["t/b/x/1", "t/b/y", "t/b.txt", "t/a/2", "t/Z"]) await place.write(path, "");
    expect(await namesBelow(backend, "t")).toEqual(["Z", "a", "a/2", "b", "b/x", "b/x/1", "b/y", "b.txt"]);
    expect(await namesBelow(backend, "/t/b/")).toEqual(["x", "x/1", "y"]);
  });

  test("names alone are the same names", async () => {
    const { backend, place } = current();
    for (const path of ["a/1", "a/b/2", "c"]) await place.write(path, "12345");
    const look = async (namesOnly: boolean) => {
      const { entries } = await collect(backend.list("", { ...DEEP, namesOnly }));
      return entries.map(({ path, kind }) => ({ path, kind }));
    };
    expect(await look(true)).toEqual(await look(false));
  });

  test("one level, or as many as asked", async () => {
    const { backend, place } = current();
    await place.write("a/b/c/d", "");
    const depth = async (options: object) =>
      (await collect(backend.list("", { ...DEEP, ...options }))).entries.length;
    expect(await depth({ recursive: false })).toBe(1);
    expect(await depth({ maxDepth: 2 })).toBe(2);
    expect(await depth({ maxDepth: 0 })).toBe(4);
  });

  test("a file as one entry without a name, an empty folder as none", async () => {
    const { backend, place } = current();
    await place.write("f", "1");
    await place.fill("empty", 0);
    const { entries } = await collect(backend.list("f", FLAT));
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ path: "", kind: "file", size: 1 });
    expect(await namesBelow(backend, "empty")).toEqual([]);
  });

  test("thousands of entries in a stream of batches", async () => {
    const { backend, place } = current();
    const each = requestPerEntry ? 150 : 1_000;
    for (let n = 0; n < 10; n += 1) await place.fill(`many/${n}`, each);
    let batches = 0;
    const seen = new Set<string>();
    for await (const { entries } of backend.list("many", DEEP)) {
      batches += 1;
      for (const entry of entries) seen.add(entry.path);
    }
    expect(seen.size).toBe(10 * each + 10);
    expect(batches).toBeGreaterThan((10 * each) / 1_000);
  });

  test("not what is not there", async () => {
    const { backend } = current();
    expect((await refused("not_found", collect(backend.list("none", FLAT)))).path).toBe("none");
    const stat = backend.stat("/none/x", { follow: true, signal: never });
    expect((await refused("not_found", stat)).path).toBe("/none/x");
  });
}
