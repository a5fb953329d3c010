/** Dots of a braille character by row and column (Unicode 2800: bit of each dot). */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;
const BLANK = 0x2800;
export const DOT_ROWS = DOTS.length;
export const DOT_COLUMNS = 2;

/** A canvas of dots that prints as braille characters; 0,0 is the dot at the bottom left. */
export class Canvas {
  readonly #columns: number;
  readonly #rows: number;
  readonly #cells: Uint8Array;

  /** @param size in characters */
  constructor(size: { readonly columns: number; readonly rows: number }) {
    this.#columns = size.columns;
    this.#rows = size.rows;
    this.#cells = new Uint8Array(size.columns * size.rows);
  }

  /** Dots outside the canvas are left out. */
  dot(x: number, y: number): void {
    const top = this.#rows * DOT_ROWS - 1 - y;
    if (x < 0 || x >= this.#columns * DOT_COLUMNS || top < 0 || y < 0) return;
    const cell = Math.floor(top / DOT_ROWS) * this.#columns + Math.floor(x / DOT_COLUMNS);
    const bit = DOTS[top % DOT_ROWS]?.[x % DOT_COLUMNS] ?? 0;
    this.#cells[cell] = (this.#cells[cell] ?? 0) | bit;
  }

  /** A vertical line between two heights, both included. */
  bar(x: number, from: number, to: number): void {
    for (let y = Math.min(from, to); y <= Math.max(from, to); y += 1) this.dot(x, y);
  }

  /** From the top. */
  lines(): string[] {
    return Array.from({ length: this.#rows }, (_, row) =>
      String.fromCodePoint(
        ...[...this.#cells.subarray(row * this.#columns, (row + 1) * this.#columns)].map(
          (cell) => BLANK + cell,
        ),
      ),
    );
  }
}
