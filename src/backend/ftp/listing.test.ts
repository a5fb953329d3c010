import { describe, expect, test } from "vitest";
import { dosLine, listedLines, machineLine, timeOf, timeText, unixLine } from "./listing.ts";

const NOW = new Date("2026-03-01T12:00:00Z");
const ns = (text: string) => BigInt(Date.parse(text)) * 1_000_000n;

describe("ls -l", () => {
  test.each([
    [
      "-rw-r--r--    1 0        0               5 Feb 28 18:09   lead",
      "  lead",
      "file",
      5,
      ns("2026-02-28T18:09Z"),
    ],
    ["-rw-r-----   1 boat     root            5 Jan  2  2020 a b", "a b", "file", 5, ns("2020-01-02")],
    ["drwxr-xr-x+  2 1000 1000 4096 Dec 31 23:59 d", "d", "directory", 0, ns("2025-12-31T23:59Z")],
    ["crw-rw-rw-  1 root root 1, 3 Feb  1 00:00 null", "null", "other", 0, ns("2026-02-01")],
  ])("%s", (line, path, kind, size, mtimeNs) => {
    expect(unixLine(line, NOW)).toMatchObject({ path, kind, size, mtimeNs });
  });

  test("links, with arrows in their names", () => {
    const line = (size: number, text: string) => unixLine(`lrwxrwxrwx 1 0 0 ${size} Jan  2  2020 ${text}`);
    expect(line(6, "l -> target")).toMatchObject({ path: "l", linkTarget: "target", kind: "symlink" });
    expect(line(1, "a -> b -> c")).toMatchObject({ path: "a -> b", linkTarget: "c" });
    expect(line(6, "a -> b -> c")).toMatchObject({ path: "a", linkTarget: "b -> c" });
    expect(line(0, "l -> t")).toMatchObject({ path: "l", linkTarget: "t" });
  });

  test("bits", () => {
    expect(unixLine("-rwsr-x--T 1 0 0 1 Jan  2  2020 f")?.mode).toBe(0o5750);
    expect(unixLine("total 12")).toBeUndefined();
  });
});

test("DOS", () => {
  expect(dosLine("11-22-26  06:09PM       <DIR>          a b")).toMatchObject({
    path: "a b",
    kind: "directory",
  });
  expect(dosLine("01-02-2020  12:05AM   77 f")).toMatchObject({ size: 77, mtimeNs: ns("2020-01-02T00:05Z") });
});

describe("the machine's form", () => {
  test("facts in any case, a name with spaces and semicolons", () => {
    const line = "Type=file;Size=12;Modify=20200102030405.5;UNIX.mode=0640;  a; b";
    expect(machineLine(line)).toMatchObject({ path: " a; b", size: 12, mode: 0o640 });
    expect(machineLine(line)?.mtimeNs).toBe(ns("2020-01-02T03:04:05.5Z"));
  });

  test("folders, itself, links", () => {
    expect(machineLine("type=cdir; anything")).toMatchObject({ path: ".", kind: "directory" });
    expect(machineLine("type=OS.unix=slink:/t; l")).toMatchObject({ kind: "symlink", linkTarget: "/t" });
    expect(machineLine("type=OS.unix=symlink; l")?.kind).toBe("symlink");
    for (const line of ["no facts at all", "size=1; f", "type=file;size=-1;", ""])
      expect(machineLine(line)).toBeUndefined();
    expect(machineLine("type=file;size=99999999999999999999; f")?.size).toBe(0);
  });
});

test("a lone line feed belongs to a name where lines end with both", () => {
  expect(listedLines("a\nb\r\nc\r\n")).toEqual(["a\nb", "c"]);
  expect(listedLines("a\nb\n")).toEqual(["a", "b"]);
});

test("times go there and back", () => {
  expect(timeOf("20200102030405")).toBe(ns("2020-01-02T03:04:05Z"));
  expect(timeOf("2020")).toBeUndefined();
  expect(timeText(ns("2020-01-02T03:04:05.9Z"))).toBe("20200102030405");
  expect(timeText(-1n)).toBeUndefined();
});
