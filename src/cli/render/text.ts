import stringWidth from "string-width";

const ELLIPSIS = "…";
let segmenter: Intl.Segmenter | undefined;

/** Made when it is first needed: ICU takes 9 ms of a command's start for its first. */
function graphemes(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  return segmenter.segment(text);
}

/** Columns that a text takes; escape sequences take none. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** At most `width` columns, the middle left out; for plain text (no escape sequences). */
export function shortenMiddle(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width < 3) return takeColumns(text, Math.max(0, width));
  const tail = Math.floor((width - 1) / 2);
  return takeColumns(text, width - 1 - tail) + ELLIPSIS + takeColumnsFromEnd(text, tail);
}

function takeColumns(text: string, width: number): string {
  let out = "";
  let used = 0;
  for (const { segment } of graphemes(text)) {
    used += widthOf(segment);
    if (used > width) break;
    out += segment;
  }
  return out;
}

function takeColumnsFromEnd(text: string, width: number): string {
  const segments = [...graphemes(text)].map(({ segment }) => segment);
  let used = 0;
  let start = segments.length;
  while (start > 0) {
    used += widthOf(segments[start - 1] ?? "");
    if (used > width) break;
    start -= 1;
  }
  return segments.slice(start).join("");
}

/** Pads to `width` columns. */
export function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

export function padStart(text: string, width: number): string {
  return " ".repeat(Math.max(0, width - widthOf(text))) + text;
}

const GAP = "   ";

/** A label and parts on as many lines as it takes, the later ones indented to the first part. */
export function wrapParts(label: string, parts: readonly string[], columns: number): string[] {
  const indent = " ".repeat(widthOf(label));
  const lines: string[] = [];
  let line = label;
  let empty = true;
  for (const part of parts) {
    const gap = empty ? "" : GAP;
    if (!empty && widthOf(line) + gap.length + widthOf(part) > columns) {
      lines.push(line);
      line = indent + part;
    } else {
      line += gap + part;
    }
    empty = false;
  }
  lines.push(line);
  return lines;
}

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** A borderless table, two blanks between columns; nothing after the last one. Titles only where one is not empty. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const titles = columns.map(({ title }) => title);
  const all = titles.some((title) => title !== "") ? [titles, ...rows] : rows;
  const widths = columns.map((_, at) => Math.max(0, ...all.map((row) => widthOf(row[at] ?? ""))));
  const cell = (text: string, at: number) =>
    columns[at]?.right ? padStart(text, widths[at] ?? 0) : padEnd(text, widths[at] ?? 0);
  return all.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}
