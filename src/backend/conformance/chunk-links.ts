import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pathText } from "../../model/path.ts";
import type { ChunkAccess } from "../chunks.ts";
import { CANARY, type Fixture, never, type OpenFixture, refused } from "./fixture.ts";

/** Of an endpoint whose `ChunkAccess` makes links. */
export function chunkLinkSuite(name: string, open: OpenFixture): void {
  describe(`links of ${name} are made`, () => {
    let fixture: Fixture;
    beforeEach(async () => {
      fixture = await open();
    });
    afterEach(async () => {
      await fixture[Symbol.asyncDispose]();
    });
    const link = async (path: string, target: string) => {
      const { native } = fixture.backend;
      const make = native.kind === "chunks" ? native.chunks.link : undefined;
      if (make === undefined) throw new TypeError("no links here");
      await make.call((native as { chunks: ChunkAccess }).chunks, path, {
        target,
        mtimeNs: 5_000_000_000n,
        signal: never,
      });
    };
    const targetOf = async (path: string) =>
      (await fixture.backend.stat(path, { follow: false, signal: never })).linkTarget;
    const namesIn = async (path: string) => {
      const names: string[] = [];
      const options = { recursive: false, follow: false, signal: never };
      for await (const { entries } of fixture.backend.list(path, options))
        names.push(...entries.map((entry) => entry.path));
      return names;
    };

    test("with any text, dangling or leading out, and missing parents", async () => {
      const strange = pathText(Buffer.from([0xff, 0x0a, 0x2f, 0x1b]));
      for (const target of ["f", "/absolute/nowhere", "../../outside/canary", strange]) {
        await link("d/e/l", target);
        expect(await targetOf("d/e/l")).toBe(target);
        expect(await namesIn("d/e")).toEqual(["l"]);
      }
      expect(await fixture.place.read("../outside/canary")).toBe(CANARY);
    });

    test("in place of a file or another link, whose own target stays as it is", async () => {
      const { place } = fixture;
      await place.write("target", "stays");
      await place.write("file", "goes");
      await place.link("old", "target");
      for (const path of ["file", "old"]) {
        await link(path, "new");
        expect(await targetOf(path)).toBe("new");
      }
      expect(await place.read("target")).toBe("stays");
      expect(await namesIn("")).toEqual(["file", "old", "target"]);
    });

    test("never in place of a folder, outside the root, or through a link that leads out", async () => {
      const { place } = fixture;
      await place.write("d/f", "");
      await place.link("out", "../outside");
      await refused("is_a_directory", link("d", "x"));
      await refused("is_a_directory", link("", "x"));
      await refused("path_escapes", link("../outside/l", "x"));
      await refused("path_escapes", link("out/l", "x"));
      expect(await place.exists("../outside/l")).toBe(false);
      expect(await namesIn("")).toEqual(["d", "out"]);
    });
  });
}
