import { closeSync, openSync, writeSync } from "node:fs";
import { PbError } from "../model/error.ts";

export type LogLevel = "error" | "warn" | "info" | "debug";
export type LogFormat = "text" | "json";

/** Numbers of pino and bunyan, so that their viewers read the JSON lines. */
const SEVERITY: Readonly<Record<LogLevel, number>> = { error: 50, warn: 40, info: 30, debug: 20 };

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Appended to, besides standard error. */
  readonly file?: string;
  /** Takes one line without its end. */
  readonly write: (line: string) => void;
}

/** What the command tells besides its result. Text lines carry no time: they are for the person who just typed. */
export class Log {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly #path: string;
  #file: number | undefined;
  #write: (line: string) => void;

  constructor(options: LogOptions) {
    this.level = options.level;
    this.format = options.format;
    this.#write = options.write;
    this.#path = options.file ?? "";
    this.#file = options.file === undefined ? undefined : openLog(options.file);
  }

  /** Sends lines elsewhere (above a live block) until the returned function is called. */
  redirect(write: (line: string) => void): () => void {
    const before = this.#write;
    this.#write = write;
    return () => {
      this.#write = before;
    };
  }

  isEnabled(level: LogLevel): boolean {
    return SEVERITY[level] >= SEVERITY[this.level];
  }

  /** `text` is what a person sees (may have colour); `fields` go to JSON lines and the log file, with `message`. */
  log(
    level: LogLevel,
    message: string,
    more: { readonly text?: string; readonly fields?: object } = {},
  ): void {
    if (!this.isEnabled(level)) return;
    const json = () =>
      JSON.stringify({
        time: new Date().toISOString(),
        level: SEVERITY[level],
        msg: message,
        ...more.fields,
      });
    this.#write(this.format === "json" ? json() : (more.text ?? message));
    if (this.#file === undefined) return;
    this.#append(
      this.#file,
      this.format === "json" ? json() : `${new Date().toISOString()} ${level} ${message}`,
    );
  }

  /** A log that can't be written on is the end of the log, and of nothing else. */
  #append(file: number, line: string): void {
    try {
      writeSync(file, `${line}\n`);
    } catch (cause) {
      this.close();
      this.log("error", `pb: nothing more goes to ${this.#path}: ${(cause as Error).message}`);
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function openLog(file: string): number {
  try {
    return openSync(file, "a", 0o600);
  } catch (cause) {
    throw new PbError("usage", `--log-file: cannot write ${file}: ${(cause as Error).message}`, {
      path: file,
      cause,
    });
  }
}
