import { type FileHandle, open } from "node:fs/promises";
import { PbError } from "../../model/error.ts";
import { EVENT, QLOG_FORMAT, QLOG_VERSION, RECORD_SEPARATOR, type TraceRecord } from "../../model/trace.ts";

/** A trace grows with the logarithm of its transfer's length (pace.ts); this bounds it whatever happens. */
const MAX_BYTES = 64 * 1024 * 1024;

/** More than the record that says that the file is full. */
const FULL_BYTES = 256;

export interface TraceHeader {
  readonly title: string;
  readonly startedAt: Date;
  /** Default: 64 MiB. */
  readonly maxBytes?: number;
}

/** A trace file. Records wait in memory until `flush()`. */
export class TraceFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #waiting: string[] = [];
  readonly #maxBytes: number;
  #room: number;

  private constructor(path: string, handle: FileHandle, maxBytes: number) {
    this.path = path;
    this.#handle = handle;
    this.#maxBytes = maxBytes;
    this.#room = maxBytes;
  }

  /** Replaces what is there. @throws PbError `io_error` naming the file */
  static async create(
    path: string,
    { title, startedAt, maxBytes = MAX_BYTES }: TraceHeader,
  ): Promise<TraceFile> {
    let handle: FileHandle;
    try {
      handle = await open(path, "w");
    } catch (cause) {
      throw new PbError("io_error", `--trace: cannot write ${path}: ${(cause as Error).message}`, {
        path,
        cause,
      });
    }
    const file = new TraceFile(path, handle, maxBytes);
    file.#put({
      qlog_version: QLOG_VERSION,
      qlog_format: QLOG_FORMAT,
      title,
      trace: {
        title,
        vantage_point: { name: "packetboat", type: "client" },
        common_fields: {
          protocol_type: ["packetboat"],
          time_format: "relative",
          reference_time: startedAt.getTime(),
        },
      },
    });
    return file;
  }

  /** A record that would not fit is the last, and says so instead. */
  add(record: TraceRecord): void {
    if (this.#room <= 0) return;
    const text = encoded(record);
    const room = this.#room - Buffer.byteLength(text);
    if (room >= FULL_BYTES) {
      this.#waiting.push(text);
      this.#room = room;
      return;
    }
    this.#put({ time: record.time, name: EVENT.full, data: { max_bytes: this.#maxBytes } });
    this.#room = 0;
  }

  /** Takes nothing more: what is written cannot become whole. */
  discard(): void {
    this.#room = 0;
    this.#waiting = [];
  }

  #put(value: object): void {
    const text = encoded(value);
    this.#waiting.push(text);
    this.#room -= Buffer.byteLength(text);
  }

  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const text = this.#waiting.join("");
    this.#waiting = [];
    await this.#handle.writeFile(text);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function encoded(value: object): string {
  return `${RECORD_SEPARATOR}${JSON.stringify(value)}\n`;
}
