/**
 * What a terminal shows after a program wrote to it: enough of ECMA-48 for lines that are drawn over (carriage return, cursor up,
 * erase in line and display, cursor shown and hidden). Wide characters are not known here.
 */
export class Screen {
  readonly columns: number;
  readonly rows: string[][] = [[]];
  cursorHidden = false;
  /** Times a line was longer than the terminal is wide. */
  wraps = 0;
  /** Escape sequences that are not known here. */
  readonly unknown: string[] = [];
  #row = 0;
  #column = 0;

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is read here
    for (const [token] of text.matchAll(/\x1b\[[?0-9;]*[A-Za-z]|[^\x1b]/gsu)) this.#take(token);
  }

  /** Lines without trailing blanks. */
  lines(): string[] {
    return this.rows.map((row) =>
      Array.from(row, (char) => char ?? " ")
        .join("")
        .trimEnd(),
    );
  }

  #take(token: string): void {
    if (token === "\r") this.#column = 0;
    else if (token === "\n") this.#down();
    else if (token.startsWith("\x1b")) this.#escape(token);
    else {
      if (this.#column === this.columns) {
        this.wraps += 1;
        this.#down();
        this.#column = 0;
      }
      this.#current()[this.#column] = token;
      this.#column += 1;
    }
  }

  #down(): void {
    this.#row += 1;
    this.#current();
  }

  #current(): string[] {
    while (this.rows.length <= this.#row) this.rows.push([]);
    return this.rows[this.#row] as string[];
  }

  #escape(token: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const [, argument = "", kind = ""] = /^\x1b\[([?0-9;]*)([A-Za-z])$/.exec(token) ?? [];
    if (kind === "A") this.#row = Math.max(0, this.#row - Number(argument || 1));
    else if (kind === "K") this.#current().length = Math.min(this.#current().length, this.#column);
    else if (kind === "J") {
      this.#current().length = Math.min(this.#current().length, this.#column);
      this.rows.length = this.#row + 1;
    } else if (argument === "?25") this.cursorHidden = kind === "l";
    else if (kind !== "m") this.unknown.push(JSON.stringify(token));
  }
}
