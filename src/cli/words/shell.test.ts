import { describe, expect, it } from "vitest";
import { splitWords } from "./shell.ts";

const place = { file: "list", line: 3 };

describe("words of a batch's line", () => {
  it.each([
    ["a box:/b", ["a", "box:/b"]],
    ["  a\tb  ", ["a", "b"]],
    ["'a b' \"c d\" e\\ f", ["a b", "c d", "e f"]],
    ["'it''s' \"say \\\"x\\\" \\\\ \\n\"", ["its", 'say "x" \\ \\n']],
    ["'' x", ["", "x"]],
    ["# nothing", []],
    ["a b # rest", ["a", "b"]],
    ["a#b 'c#d' \\#e", ["a#b", "c#d", "#e"]],
    ["*.gz $HOME `x`", ["*.gz", "$HOME", "`x`"]],
    ["", []],
  ])("%s", (line, words) => {
    expect(splitWords(line, place)).toEqual(words);
  });

  it.each(["'open", '"open', "end\\"])("refuses %s, naming the line", (line) => {
    expect(() => splitWords(line, place)).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining("list, line 3") }),
    );
  });
});
