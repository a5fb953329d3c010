import type { Terminal } from "../terminal.ts";
import { columnsOf } from "../terminal.ts";
import { widthOf } from "./text.ts";

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const ERASE_BELOW = "\x1b[0J";
const ERASE_LINE_END = "\x1b[K";

/**
 * Lines at the bottom of a terminal that are written over again and again. The cursor is hidden while there are any; it comes
 * back with `close()`, and when the process ends otherwise.
 */
export class LiveBlock {
  readonly #screen: Terminal["stderr"];
  #lines: readonly string[] = [];
  #hidden = false;
  readonly #restore = () => this.#showCursor();

  constructor(screen: Terminal["stderr"]) {
    this.#screen = screen;
  }

  /** Replaces the block. Lines must fit the width of the terminal. */
  draw(lines: readonly string[]): void {
    if (!this.#hidden) {
      this.#hidden = true;
      process.once("exit", this.#restore);
      this.#screen.write(HIDE_CURSOR);
    }
    const body = lines.map((line) => `${line}${ERASE_LINE_END}\n`).join("");
    this.#screen.write(`${this.#up()}${body}${ERASE_BELOW}`);
    this.#lines = lines;
  }

  /** A line that stays, above the block. */
  above(line: string): void {
    const block = this.#lines;
    this.#screen.write(`${this.#up()}${ERASE_BELOW}${line}\n${block.map((text) => `${text}\n`).join("")}`);
  }

  /** Takes the block away and gives the cursor back. Idempotent. */
  close(): void {
    if (this.#lines.length > 0) this.#screen.write(`${this.#up()}${ERASE_BELOW}`);
    this.#lines = [];
    this.#showCursor();
  }

  /** To the first column of the block's first row. A terminal made narrower has wrapped its lines: each takes more rows now. */
  #up(): string {
    const columns = columnsOf(this.#screen);
    const rows = this.#lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    return rows === 0 ? "\r" : `\r\x1b[${rows}A`;
  }

  #showCursor(): void {
    if (!this.#hidden) return;
    this.#hidden = false;
    process.removeListener("exit", this.#restore);
    this.#screen.write(SHOW_CURSOR);
  }
}
