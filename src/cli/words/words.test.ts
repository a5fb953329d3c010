import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAge, parseDuration, parseMoment } from "./duration.ts";
import { readFilesFrom } from "./files-from.ts";
import { parseChoice, parseCount, parseSwitch } from "./number.ts";
import { formatPlace, parsePlace, parsePlaceOrStream, parsePlaceThere, shortPlace } from "./place.ts";
import { parseRate, parseSize } from "./size.ts";

describe("sizes", () => {
  test.each([
    ["0", 0],
    ["4096", 4096],
    ["64K", 65_536],
    ["64k", 65_536],
    ["64Ki", 65_536],
    ["64KiB", 65_536],
    ["64KB", 64_000],
    ["1M", 1_048_576],
    ["1.5MB", 1_500_000],
    ["2.5G", 2_684_354_560],
    ["1T", 1_099_511_627_776],
    ["10B", 10],
  ])("%s is %d bytes", (text, bytes) => {
    expect(parseSize(text, "--x")).toBe(bytes);
  });

  test.each(["", "x", "-1", "1X", "1 000", "1e3", "9999999P", "K"])(
    "%s is refused, naming the flag",
    (text) => {
      expect(() => parseSize(text, "--min-size")).toThrow(
        expect.objectContaining({ code: "usage", peer: "--min-size" }),
      );
    },
  );

  test.each([
    ["off", 0],
    ["0", 0],
    ["100M", 104_857_600],
    ["100MB/s", 100_000_000],
    ["1Gbit", 125_000_000],
    ["1gbit/s", 125_000_000],
    ["100Mbps", 12_500_000],
    ["8bit", 1],
  ])("%s is %d bytes a second", (text, rate) => {
    expect(parseRate(text, "--limit")).toBe(rate);
  });

  test.each(["fast", "1bit", "1Gbit/h", ""])("%s is no rate", (text) => {
    expect(() => parseRate(text, "--limit")).toThrow(expect.objectContaining({ code: "usage" }));
  });
});

describe("times", () => {
  test.each([
    ["90", 90],
    ["250ms", 0.25],
    ["1h30m", 5400],
    ["2d", 172_800],
    ["1w", 604_800],
    ["1M", 2_592_000],
    ["1m", 60],
    ["1.5h", 5400],
  ])("%s is %d seconds", (text, seconds) => {
    expect(parseDuration(text, "--x")).toBe(seconds);
  });

  test.each(["", "h", "1x", "1h 30m", "-1s"])("%s is refused", (text) => {
    expect(() => parseDuration(text, "--x")).toThrow(expect.objectContaining({ code: "usage" }));
  });

  test("an age may be a date, but not one to come", () => {
    const now = Date.parse("2026-02-01T00:00:00Z");
    expect(parseAge("2026-01-31T23:00:00Z", "--max-age", now)).toBe(3600);
    expect(() => parseAge("2027-01-01", "--max-age", now)).toThrow("future");
  });

  test.each([
    ["@0", 0n],
    ["@1769860800.5", 1_769_860_800_500_000_000n],
    ["@-1", -1_000_000_000n],
    ["2026-01-31T12:00:00Z", 1_769_860_800_000_000_000n],
    ["2026-01-31T12:00:00.123456789Z", 1_769_860_800_123_456_789n],
    ["2026-01-31T13:00+01:00", 1_769_860_800_000_000_000n],
  ])("%s is %d ns", (text, ns) => {
    expect(parseMoment(text, "--mtime")).toBe(ns);
  });

  test("a date alone is midnight here", () => {
    expect(parseMoment("2026-01-31", "--mtime")).toBe(BigInt(new Date(2026, 0, 31).getTime()) * 1_000_000n);
  });

  test.each(["yesterday", "2026-13-01", "12:00", "@x"])("%s is no moment", (text) => {
    expect(() => parseMoment(text, "--mtime")).toThrow(expect.objectContaining({ code: "usage" }));
  });
});

describe("numbers and words", () => {
  test("within bounds, else refused", () => {
    expect(parseCount("8", "--lanes", { min: 1, max: 64 })).toBe(8);
    for (const text of ["0", "65", "1.5", "x", "-1"]) {
      expect(() => parseCount(text, "--lanes", { min: 1, max: 64 })).toThrow("--lanes");
    }
    expect(parseSwitch("off", "--seal")).toBe(false);
    expect(() => parseSwitch("no", "--seal")).toThrow("--seal");
    expect(parseChoice("b", "--x", ["a", "b"])).toBe("b");
    expect(() => parseChoice("c", "--x", ["a", "b"])).toThrow("a, b");
  });
});

describe("places", () => {
  test.each([
    ["a", "", "/here/a"],
    ["./a:b", "", "/here/a:b"],
    [".", "", "/here"],
    ["/x//y/", "", "/x/y"],
    ["/", "", "/"],
    ["box:/p/q/", "box", "/p/q"],
    ["box:p", "box", "/p"],
    ["box:", "box", "/"],
    ["pb://h.example:7373/p", "h.example:7373", "/p"],
    ["pb://[::1]:7373/p", "[::1]:7373", "/p"],
    ["s3:bucket/x", "s3", "/bucket/x"],
    ["s3://bucket/a%20b", "s3", "/bucket/a%20b"],
    ["sftp://me@h:2222/a%20b/", "sftp://me@h:2222", "/a b"],
    ["https://h", "https://h", "/"],
    ["HTTPS://h/%FF%3f100%?sig=a/b#part", "https://h?sig=a/b", "/\udcff?100%"],
  ])("%s", (word, remote, path) => {
    expect(parsePlace(word, "/here")).toEqual({ remote, path });
  });

  test("a standard stream only where one may be", () => {
    expect(parsePlaceOrStream("-", "/here")).toBe("-");
    // At the server `box` its own folders have no name, or its name here.
    for (const word of ["/d", "d", "box:/d"])
      expect(parsePlaceThere(word, "box")).toEqual({ remote: "", path: "/d" });
    expect(parsePlaceThere("nas:/d", "box")).toEqual({ remote: "nas", path: "/d" });
    expect(() => parsePlace("-", "/here")).toThrow(expect.objectContaining({ code: "usage" }));
    expect(() => parsePlace("gopher://b/k", "/here")).toThrow(expect.objectContaining({ code: "usage" }));
  });

  test("below the current folder they are shown from there", () => {
    const shown = (path: string, cwd: string) => shortPlace({ remote: "", path }, cwd);
    expect(["/here/a/b", "/here", "/hereafter", "/x"].map((path) => shown(path, "/here"))).toEqual([
      ...["a/b", ".", "/hereafter", "/x"],
    ]);
    expect(shown("/x", "/")).toBe("x");
    expect(shortPlace({ remote: "box", path: "/here/a" }, "/here")).toBe("box:/here/a");
  });

  test("as a user would write them", () => {
    for (const word of ["box:/p", "pb://h:7373/p", "/x/y", "sftp://me@[::1]:22/a%20b%FF", "s3:/b/x"])
      expect(formatPlace(parsePlace(word, "/"))).toBe(word);
  });

  test("no secret of a URL is shown, and a password is refused", () => {
    expect(formatPlace(parsePlace("https://h/a?sig=secret", "/"))).toBe("https://h/a?…");
    const refused = expect.objectContaining({
      code: "usage",
      message: expect.not.stringContaining("secret"),
    });
    for (const word of ["sftp://me:secret@h/x", "https://me:secret@/x?q", "ftp://a b@h:99999/x"])
      expect(() => parsePlace(word, "/")).toThrow(refused);
    expect(() => parsePlace("https://h/a%2Fb", "/")).toThrow(expect.objectContaining({ code: "usage" }));
  });

  test("'..' climbs where the kernel would, links and all; a link itself stays named", () => {
    const folder = mkdtempSync(join(tmpdir(), "pb-place-"));
    try {
      mkdirSync(join(folder, "real/deep"), { recursive: true });
      symlinkSync("real/deep", join(folder, "link"));
      expect(parsePlace("link/../x", folder)).toEqual({ remote: "", path: join(folder, "real/x") });
      expect(parsePlace("link", folder)).toEqual({ remote: "", path: join(folder, "link") });
      expect(parsePlace("missing/../x", folder)).toEqual({ remote: "", path: join(folder, "x") });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("--files-from", () => {
  const read = (content: string | Buffer) => {
    const folder = mkdtempSync(join(tmpdir(), "pb-files-"));
    try {
      writeFileSync(join(folder, "list"), content);
      return readFilesFrom(join(folder, "list"), "--files-from").map((path) =>
        Buffer.from(path).toString("latin1"),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test("lines, comments, CRLF, leading ./ and /", () => {
    expect(read("a/b\r\n\n# no\n./c\n/d\n./#e")).toEqual(["a/b", "c", "d", "#e"]);
  });

  test("NUL-separated names may have anything in them, bytes stay", () => {
    expect(read(Buffer.from("a\nb\0#c\0\xff\0", "latin1"))).toEqual(["a\nb", "#c", "\xff"]);
  });

  test("nothing named, nothing there: refused", () => {
    expect(() => read("\n# x\n")).toThrow(expect.objectContaining({ code: "usage" }));
    expect(() => readFilesFrom("/does/not/exist", "--files-from")).toThrow("/does/not/exist");
  });
});
