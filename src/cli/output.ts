import { createColors } from "picocolors";
import { type Terminal, wantsColor } from "./terminal.ts";

export const FORMATS = ["table", "json", "jsonl", "yaml"] as const;
export type Format = (typeof FORMATS)[number];
export type Colors = ReturnType<typeof createColors>;

/** Whoever reads standard output went away (`| head`): the command ends, quietly. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

/** Standard output: results, in the format asked for. Names in tables must already be safe (`displayPath`). */
export class Output {
  readonly format: Format;
  /** For standard output; colours on standard error are a matter of that stream. */
  readonly colors: Colors;
  readonly #stdout: Terminal["stdout"];
  #gone = false;
  #closeList = async () => {};

  constructor(options: { readonly terminal: Terminal; readonly format: Format }) {
    this.format = options.format;
    this.#stdout = options.terminal.stdout;
    this.colors = createColors(wantsColor(options.terminal.stdout, options.terminal.env));
    this.#stdout.on("error", () => {
      this.#gone = true;
    });
  }

  /** For programs rather than people? */
  get machine(): boolean {
    return this.format !== "table";
  }

  /** @throws ReaderGone when nobody reads */
  async write(text: string): Promise<void> {
    if (this.#gone) throw new ReaderGone("nobody reads standard output");
    if (this.#stdout.write(text)) return;
    await this.#drained();
    if (this.#gone) throw new ReaderGone("nobody reads standard output");
  }

  #drained(): Promise<void> {
    const stdout = this.#stdout;
    const ends = ["drain", "close", "error"] as const;
    return new Promise((resolve) => {
      const done = () => {
        for (const end of ends) stdout.off(end, done);
        resolve();
      };
      for (const end of ends) stdout.once(end, done);
    });
  }

  /** One result: an object for programs, `text` for people ("": nothing). */
  async record(value: object, text: string): Promise<void> {
    if (this.format === "table") return text === "" ? undefined : this.write(`${text}\n`);
    if (this.format === "yaml") return this.write(await yaml(value));
    await this.write(`${JSON.stringify(value)}\n`);
  }

  /** Many results, written as they come. `end()` must be called, also when there were none. */
  rows<T>(shape: { readonly record: (row: T) => object; readonly text: (row: T) => string }): Rows<T> {
    const rows = new Rows(this, shape);
    this.#closeList = () => rows.close();
    return rows;
  }

  /** After an error: what was printed of a list is a list all the same. @throws ReaderGone */
  close(): Promise<void> {
    return this.#closeList();
  }
}

export class Rows<T> {
  readonly #out: Output;
  readonly #shape: { readonly record: (row: T) => object; readonly text: (row: T) => string };
  #count = 0;
  #isOpen = true;

  constructor(
    out: Output,
    shape: { readonly record: (row: T) => object; readonly text: (row: T) => string },
  ) {
    this.#out = out;
    this.#shape = shape;
  }

  /** Rows that came together are written together. */
  async push(rows: readonly T[]): Promise<void> {
    if (rows.length === 0) return;
    const { format } = this.#out;
    const { record, text } = this.#shape;
    const first = this.#count === 0;
    this.#count += rows.length;
    if (format === "table") return this.#out.write(rows.map((row) => `${text(row)}\n`).join(""));
    if (format === "yaml") return this.#out.write(await yaml(rows.map(record)));
    const lines = rows.map((row) => JSON.stringify(record(row)));
    if (format === "jsonl") return this.#out.write(`${lines.join("\n")}\n`);
    await this.#out.write(`${first ? "[" : ","}\n${lines.join(",\n")}`);
  }

  /** Ends what was begun. Idempotent. */
  async close(): Promise<void> {
    if (this.#isOpen && this.#count > 0) await this.end();
  }

  async end(): Promise<void> {
    this.#isOpen = false;
    const { format } = this.#out;
    if (format === "json") await this.#out.write(this.#count === 0 ? "[]\n" : "\n]\n");
    if (format === "yaml" && this.#count === 0) await this.#out.write("[]\n");
  }
}

async function yaml(value: unknown): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value);
}
