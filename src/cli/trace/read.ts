import { readFile, stat } from "node:fs/promises";
import { PbError } from "../../model/error.ts";
import { QLOG_FORMAT, RECORD_SEPARATOR, type TraceRecord } from "../../model/trace.ts";

/** Four times what `pb transfer --trace` writes at most: traces of other programs may be larger than ours. */
const MAX_BYTES = 256 * 1024 * 1024;

/** A trace as it was read. */
export interface TraceFile {
  readonly title: string;
  /** By time. */
  readonly records: readonly TraceRecord[];
}

/** @throws PbError naming the file, and the record where one is wrong */
export async function readTrace(path: string): Promise<TraceFile> {
  const text = await textOf(path);
  if (!text.startsWith(RECORD_SEPARATOR)) {
    throw notTrace(path, "it does not begin with a record separator (0x1e)");
  }
  const [, head = "", ...bodies] = text.split(RECORD_SEPARATOR);
  const header = parse(path, 1, head);
  if (header.qlog_format !== QLOG_FORMAT || !isObject(header.trace)) {
    throw notTrace(path, `its first record is no qlog header of format ${QLOG_FORMAT}`);
  }
  const records = bodies.map((body, at) => recordOf(path, at + 2, body));
  records.sort((a, b) => a.time - b.time);
  return { title: typeof header.title === "string" ? header.title : "", records };
}

async function textOf(path: string): Promise<string> {
  let found: PbError | undefined;
  try {
    const { size } = await stat(path);
    if (size <= MAX_BYTES) return await readFile(path, "utf8");
    found = new PbError("invalid_argument", `${path} has ${size} bytes: too large for a trace`, { path });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const [kind, what] =
      code === "ENOENT"
        ? (["not_found", "is not there"] as const)
        : (["io_error", `cannot be read: ${(cause as Error).message}`] as const);
    found = new PbError(kind, `${path} ${what}`, { path, cause });
  }
  throw found;
}

function notTrace(path: string, why: string): PbError {
  return new PbError("invalid_argument", `${path} is not a trace: ${why}`, {
    path,
    hint: "pb transfer --trace FILE writes one",
  });
}

/** A whole record is a JSON object and a line feed (RFC 7464 section 2.4: without it, it may be cut off). */
function parse(path: string, number: number, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = text.endsWith("\n") ? JSON.parse(text) : undefined;
  } catch {
    value = undefined;
  }
  if (isObject(value)) return value;
  const what = text.endsWith("\n") ? "is not a JSON object" : "is cut off";
  throw new PbError("invalid_argument", `${path}: record ${number} ${what}`, {
    path,
    hint: "the file is damaged, or the program that wrote it was ended; records are numbered from 1, the header",
  });
}

function recordOf(path: string, number: number, text: string): TraceRecord {
  const { time, name, data, group_id, vantage_point } = parse(path, number, text);
  if (typeof time !== "number" || !Number.isFinite(time) || typeof name !== "string" || !isObject(data)) {
    throw new PbError("invalid_argument", `${path}: record ${number} has no time, name and data`, { path });
  }
  return {
    time,
    name,
    data,
    ...(typeof group_id === "string" ? { group_id } : {}),
    ...(vantage_point === "server" ? { vantage_point } : {}),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
