/**
 * From a path of the contract to one of the server. SFTP has no way to say "below this folder": below a root that is not "/" every link
 * on the way is therefore resolved here, so that none leads out. (Somebody who swaps a folder for a link between the look and the call
 * is not caught: only a server that confines its users, `ChrootDirectory`, can do that.)
 */

import { PbError } from "../../model/error.ts";
import { pathBytes, pathText } from "../../model/path.ts";
import { componentsBelow, type NameBounds } from "../path.ts";
import * as calls from "./calls.ts";
import { isMissing } from "./errors.ts";
import type { SftpSession } from "./session.ts";

export interface ResolveOptions {
  /** "follow": a link with the last name too. */
  readonly last: "follow" | "keep";
  readonly session: SftpSession;
  readonly signal: AbortSignal;
}

export interface Resolver {
  /** @throws PbError `path_escapes`, `invalid_path`; SftpStatus */
  resolve(path: string, options: ResolveOptions): Promise<Uint8Array>;
  /** Folders that were renamed or removed may be links by now. */
  forget(): void;
}

export const BOUNDS: NameBounds = { componentBytes: 255, pathBytes: 4_095, anyBytes: true };

/** As Linux has it. */
const MAX_LINKS = 40;
/** How long a folder that was no link is taken for a folder: as long as a listing's names are, roughly. */
const FRESH_MS = 2_000;
const MAX_FRESH = 4_096;

/** @param root absolute, without links, no '/' at the end: "" for "/" */
export function createResolver(root: string): Resolver {
  const folders = new Map<string, number>();
  const absolute = (components: readonly string[]) => `${root}/${components.join("/")}`;

  /** The link at `path`; undefined for all else, and for nothing. */
  async function linkAt(path: string, { session, signal }: ResolveOptions): Promise<string | undefined> {
    if ((folders.get(path) ?? 0) > Date.now()) return undefined;
    const bytes = pathBytes(path);
    try {
      const { mode = 0 } = await calls.lstat(session, bytes, signal);
      if ((mode & S_IFMT) === S_IFLNK) return pathText(await calls.readLink(session, bytes, signal));
      if ((mode & S_IFMT) === S_IFDIR) remember(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return undefined;
  }

  function remember(path: string): void {
    if (folders.size >= MAX_FRESH) folders.clear();
    folders.set(path, Date.now() + FRESH_MS);
  }

  /** All links on the way, asked for at once. */
  async function firstLink(components: readonly string[], options: ResolveOptions) {
    const count = options.last === "follow" ? components.length : components.length - 1;
    const targets = await Promise.all(
      components
        .slice(0, Math.max(count, 0))
        .map((_, at) => linkAt(absolute(components.slice(0, at + 1)), options)),
    );
    const at = targets.findIndex((target) => target !== undefined);
    return at < 0 ? undefined : { at, target: targets[at] ?? "" };
  }

  return {
    async resolve(path, options) {
      let components = componentsBelow(path, BOUNDS);
      if (root === "") return pathBytes(absolute(components));
      for (let links = 0; links <= MAX_LINKS; links += 1) {
        const link = await firstLink(components, options);
        if (link === undefined) return pathBytes(components.length === 0 ? root : absolute(components));
        components = through(components, link, { root, path });
      }
      throw new PbError("io_error", "too many links on the way", { path });
    },
    forget: () => folders.clear(),
  };
}

/** The components once the link at `at` is replaced by what it points to. */
function through(
  components: readonly string[],
  { at, target }: { readonly at: number; readonly target: string },
  { root, path }: { readonly root: string; readonly path: string },
): readonly string[] {
  const rest = components.slice(at + 1);
  if (!target.startsWith("/")) {
    const joined = [...components.slice(0, at), target, ...rest].join("/");
    try {
      return componentsBelow(joined, BOUNDS);
    } catch (error) {
      throw named(error, path);
    }
  }
  if (target !== root && !target.startsWith(`${root}/`))
    throw new PbError("path_escapes", "a link on the way leads out of the root", { path });
  try {
    return componentsBelow([target.slice(root.length), ...rest].join("/"), BOUNDS);
  } catch (error) {
    throw named(error, path);
  }
}

/** The error's path is that of the link's target, which nobody has asked for. */
function named(error: unknown, path: string): PbError {
  const { code, message } = PbError.from(error);
  return new PbError(code, message, { path, cause: error });
}

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
