import { readFileSync } from "node:fs";
import { PbError } from "../../model/error.ts";

const NEWLINE = 0x0a;
const HASH = 0x23;

/**
 * Paths of a `--files-from` file ("-": standard input) as bytes: one a line, or NUL-separated where the file has a NUL
 * (`find -print0`). In the line form empty lines and lines that start with # are passed over. Leading "./" and "/" go.
 *
 * @throws PbError `usage` when it cannot be read or names nothing
 */
export function readFilesFrom(file: string, flag: string): Uint8Array[] {
  const content = readAll(file, flag);
  const nul = content.includes(0);
  const paths = split(content, nul ? 0 : NEWLINE)
    .filter((line) => line.length > 0 && (nul || line[0] !== HASH))
    .map(relative)
    .filter((path) => path.length > 0);
  if (paths.length === 0)
    throw new PbError("usage", `${flag}: ${file} names no path`, { path: file, peer: flag });
  return paths;
}

function readAll(file: string, flag: string): Buffer {
  try {
    return readFileSync(file === "-" ? 0 : file);
  } catch (cause) {
    throw new PbError("usage", `${flag}: cannot read ${file}: ${(cause as Error).message}`, {
      path: file,
      peer: flag,
      cause,
    });
  }
}

function split(content: Buffer, separator: number): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at < content.length; ) {
    const found = content.indexOf(separator, at);
    const end = found < 0 ? content.length : found;
    const carriageReturn = separator === NEWLINE && end > at && content[end - 1] === 0x0d;
    out.push(content.subarray(at, carriageReturn ? end - 1 : end));
    at = end + 1;
  }
  return out;
}

function relative(path: Buffer): Buffer {
  const text = path.toString("latin1").replace(/^(?:\.?\/+)+/, "");
  return Buffer.from(text, "latin1");
}
