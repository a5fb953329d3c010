import { describe, expect, test } from "vitest";
import { PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";
import { componentsBelow, listedName, type NameBounds } from "./path.ts";

const POSIX: NameBounds = { componentBytes: 255, pathBytes: 4_095, anyBytes: true };
const TEXT: NameBounds = { ...POSIX, anyBytes: false };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof PbError ? error.code : String(error);
  }
  return "nothing thrown";
}

describe("componentsBelow", () => {
  test.each([
    ["", []],
    ["/", []],
    [".", []],
    ["/a//b/./c/", ["a", "b", "c"]],
    ["a/../b", ["b"]],
    ["...", ["..."]],
    ["..\\x", ["..\\x"]],
  ])("%j", (path, components) => expect(componentsBelow(path, POSIX)).toEqual(components));

  test.each(["..", "../a", "/..", "a/../..", "a/b/../../.."])("%s leads out", (path) =>
    expect(codeOf(() => componentsBelow(path, POSIX))).toBe("path_escapes"),
  );

  test.each(["a\0b", "x".repeat(256), "€".repeat(86), "ab/".repeat(1_400)])(
    "refuses what has no form",
    (path) => expect(codeOf(() => componentsBelow(path, POSIX))).toBe("invalid_path"),
  );

  test("bytes only where names are bytes", () => {
    const name = pathText(Buffer.from([0x66, 0xff]));
    expect(componentsBelow(name, POSIX)).toEqual([name]);
    expect(codeOf(() => componentsBelow(name, TEXT))).toBe("invalid_path");
    expect(componentsBelow("😀", TEXT)).toEqual(["😀"]);
  });
});

test("a listed name is one name", () => {
  expect(listedName("a b", "d")).toBe("a b");
  for (const name of ["", ".", "..", "../x", "a/b", "/etc", "a\0"])
    expect(codeOf(() => listedName(name, "d"))).toBe("path_escapes");
});
