import { PbError } from "../model/error.ts";
import { pathText } from "../model/path.ts";

/** A path from the wire as `PathText` without a leading, doubled or trailing slash. @throws PbError `invalid_path`, `path_escapes` */
export function pathFromWire(bytes: Uint8Array): string {
  return cleanPath(pathText(bytes));
}

/** See `pathFromWire`. The roots hold every path to their own bounds as well; this makes the name space above them sound. */
export function cleanPath(path: string): string {
  if (path.includes("\0")) throw new PbError("invalid_path", "a path holds no NUL byte", { path });
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) throw new PbError("path_escapes", "a path holds no ..", { path });
  return names.join("/");
}
