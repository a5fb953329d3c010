import { PbError } from "../model/error.ts";
import { pathBytes } from "../model/path.ts";

/** What an endpoint takes as a name. All bounds are bytes of UTF-8. */
export interface NameBounds {
  /** Of one component; POSIX has 255. */
  readonly componentBytes: number;
  /** Of the whole path below the root. */
  readonly pathBytes: number;
  /** False where a name is text (HTTP, S3): a name with bytes that are not UTF-8 has no form there. */
  readonly anyBytes: boolean;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * A path of the contract as components below the root, for an endpoint whose own server does not resolve paths below a root.
 * A leading '/', empty components and "." go; ".." takes back the one before it.
 *
 * @throws PbError `path_escapes` when `..` leads above the root; `invalid_path` for NUL or what `bounds` refuse
 */
export function componentsBelow(path: string, bounds: NameBounds): readonly string[] {
  const components: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") components.push(checked(part, path, bounds));
    else if (components.pop() === undefined)
      throw new PbError("path_escapes", "this path leads out of the root", { path });
  }
  if (isLonger(components.join("/"), bounds.pathBytes))
    throw new PbError("invalid_path", `the path is longer than ${bounds.pathBytes} bytes`, { path });
  return components;
}

/** A unit of UTF-16 is three bytes of UTF-8 at most. */
const isLonger = (text: string, bytes: number) => text.length * 3 > bytes && pathBytes(text).length > bytes;

function checked(name: string, path: string, bounds: NameBounds): string {
  if (name.includes("\0")) throw new PbError("invalid_path", "a name cannot hold a NUL byte", { path });
  if (!bounds.anyBytes && LONE_SURROGATE.test(name))
    throw new PbError("invalid_path", "this endpoint's names are text, and this one is not UTF-8", {
      path,
      hint: "rename it at the source first",
    });
  if (isLonger(name, bounds.componentBytes))
    throw new PbError("invalid_path", `a name is longer than ${bounds.componentBytes} bytes`, { path });
  return name;
}

/**
 * A name that a server listed, which must be one name and nothing else: a server that lists `../x` must not make a client write there (T1).
 *
 * @param folder in errors
 * @throws PbError `path_escapes`
 */
export function listedName(name: string, folder: string): string {
  const hostile = name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0");
  if (!hostile) return name;
  throw new PbError("path_escapes", `the server listed ${JSON.stringify(name)}, which is not a name`, {
    path: folder,
  });
}

/** The error with its path below the root as the call named it: with a leading '/' where `asked` has one. */
export function pathAsAsked(error: PbError, asked: string): PbError {
  const { path } = error;
  if (path === undefined || path.startsWith("/") === asked.startsWith("/")) return error;
  return error.about({ path: asked.startsWith("/") ? `/${path}` : path.replace(/^\/+/, "") });
}
