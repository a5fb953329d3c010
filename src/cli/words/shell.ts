import { PbError } from "../../model/error.ts";

/** Where a line is: for errors. */
export interface LinePlace {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/**
 * A line as a shell would split it: words at blanks; '…' as it is; "…" with \ before " and \; \ before any character; # to the end
 * where a word would begin. Nothing is expanded.
 *
 * @throws PbError `usage` naming the place, for a quote that is not closed
 */
export function splitWords(text: string, place: LinePlace): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < text.length) {
    const char = text[at] ?? "";
    if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += 1;
    } else if (char === "#" && word === undefined) {
      break;
    } else {
      const piece = pieceAt(text, at, place);
      word = (word ?? "") + piece.text;
      at = piece.end;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

interface Piece {
  readonly text: string;
  readonly end: number;
}

function pieceAt(text: string, at: number, place: LinePlace): Piece {
  const char = text[at] ?? "";
  if (char === "\\") {
    const next = text[at + 1];
    if (next === undefined) throw bad(place, "ends with a backslash");
    return { text: next, end: at + 2 };
  }
  if (char === "'") {
    const end = text.indexOf("'", at + 1);
    if (end < 0) throw bad(place, "has a ' that is not closed");
    return { text: text.slice(at + 1, end), end: end + 1 };
  }
  return char === '"' ? doubleQuoted(text, at, place) : { text: char, end: at + 1 };
}

function doubleQuoted(text: string, start: number, place: LinePlace): Piece {
  let out = "";
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at] ?? "";
    if (char === '"') return { text: out, end: at + 1 };
    const next = text[at + 1] ?? "";
    if (char === "\\" && (next === '"' || next === "\\")) {
      out += next;
      at += 1;
    } else {
      out += char;
    }
  }
  throw bad(place, 'has a " that is not closed');
}

function bad({ file, line }: LinePlace, what: string): PbError {
  return new PbError("usage", `${file}, line ${line}: it ${what}`, { path: file });
}
