import { readFile } from "node:fs/promises";
import { afterEach, expect, test } from "vitest";
import type { ErrorCode } from "../../model/error.ts";
import type { Backend } from "../backend.ts";
import { CANARY, collect, type Fixture, never, refused } from "./fixture.ts";

/** Every call, with `path` in each place that takes one. */
function calls(backend: Backend, path: string): readonly (readonly [string, () => Promise<unknown>])[] {
  const replace = { replace: true, signal: never };
  return [
    ["list", () => collect(backend.list(path, { recursive: true, follow: true, signal: never }))],
    ["stat", () => backend.stat(path, { follow: true, signal: never })],
    ["mkdir", () => backend.mkdir(`${path}/new`, { parents: true, signal: never })],
    ["touch", () => backend.touch(`${path}/new`, { create: true, signal: never })],
    ["rename from", () => backend.rename(`${path}/canary`, "stolen", replace)],
    ["rename to", () => backend.rename("inside", `${path}/new`, replace)],
    ["remove", () => backend.remove(`${path}/canary`, { recursive: true, signal: never })],
  ];
}

export async function allRefused(backend: Backend, path: string, code: ErrorCode): Promise<void> {
  for (const [what, call] of calls(backend, path)) {
    expect((await refused(code, call())).code, what).toBe(code);
  }
}

/** T1. Each test ends with the canary as it was. */
export function refusing(current: () => Fixture): void {
  afterEach(async () => {
    expect(await readFile(current().place.canary, "utf8")).toBe(CANARY);
    expect(await current().place.exists("../outside/new")).toBe(false);
  });

  test.each(["..", "../outside", "a/../../outside", "./../outside", "/../outside", "a/b/../../.."])(
    "%s in every call",
    async (path) => {
      const { backend, place } = current();
      await place.write("a/b/c", "");
      await place.write("inside", "");
      await allRefused(backend, path, "path_escapes");
    },
  );

  test("NUL and names over 255 bytes in every call", async () => {
    const { backend, place } = current();
    await place.write("inside", "");
    await allRefused(backend, "a\0b", "invalid_path");
    await allRefused(backend, "x".repeat(256), "invalid_path");
    await allRefused(backend, "ab/".repeat(1_400), "invalid_path");
  });

  test("to remove or rename the root itself", async () => {
    const { backend } = current();
    for (const path of ["", "/", "."]) {
      await refused("invalid_path", backend.remove(path, { recursive: true, signal: never }));
      await refused("invalid_path", backend.rename(path, "x", { replace: false, signal: never }));
    }
  });
}
