/**
 * The name space that a server shows: the root without a name at "/", each named one at "/NAME". A caller who is confined to
 * a folder gets descriptors below that folder and nothing else; one who may only read gets them without the right to write.
 */

import type { Backend } from "../backend/backend.ts";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import type { FileRoot } from "../native/root.ts";
import type { Spot } from "./file-service.ts";
import { cleanPath } from "./paths.ts";
import { topBackend } from "./top.ts";

export interface ServedRoot {
  /** "" for the one at "/". */
  readonly name: string;
  readonly root: FileRoot;
}

export interface PlacesOptions {
  readonly roots: readonly ServedRoot[];
  /** A backend over a root; closing it closes the root. */
  readonly backend: (root: FileRoot) => Backend;
}

export interface Places extends AsyncDisposable {
  readonly names: readonly string[];
  /**
   * Where a caller's path leads. For "/" of a server with named roots that is a backend which can only be listed; see `spots`.
   *
   * @param path `PathText`. @throws PbError `not_found`, `path_escapes`, `invalid_path`
   */
  spot(caller: Caller, path: string): Promise<Spot>;
  /** Which root holds a caller's path, and the path below what `open` gives. @throws PbError `unsupported` for the top above several roots */
  within(caller: Caller, path: string): { readonly root: string; readonly rest: string };
  /** A root as the caller has it, or the part of it that the caller is confined to. @throws PbError `not_found` */
  open(caller: Caller, root: string): Promise<Backend>;
  /** The backends that together are what `path` shows, each under its `name` there ("" or a named root's). */
  spots(caller: Caller, path: string): Promise<readonly (Spot & { readonly name: string })[]>;
  /** Idempotent. Closes the roots. */
  close(): Promise<void>;
}

export function createPlaces({ roots, backend }: PlacesOptions): Places {
  const whole = new Map(roots.map(({ name, root }) => [name, { root, backend: backend(root) }]));
  const names = roots.map(({ name }) => name).filter((name) => name !== "");
  const narrowed = new Map<string, Narrowed>();
  const closing: Backend[] = [...whole.values()].map((each) => each.backend);

  /** From a path of the name space to the root that holds it. */
  function locate(path: string): { readonly name: string; readonly rest: string } {
    const cut = path.indexOf("/");
    const first = cut < 0 ? path : path.slice(0, cut);
    if (names.includes(first)) return { name: first, rest: cut < 0 ? "" : path.slice(cut + 1) };
    return { name: "", rest: path };
  }

  /** Undefined for a root that the caller does not see. */
  function access({ readOnly, roots }: Caller, name: string): { readonly write: boolean } | undefined {
    if (!roots) return { write: !readOnly };
    const given = roots.filter(({ root }) => root === name || root === "*");
    return given.length === 0 ? undefined : { write: !readOnly && given.some(({ write }) => write) };
  }

  /** @throws PbError `not_found`: what a caller does not see is not there */
  function demand(caller: Caller, name: string, path: string): { readonly write: boolean } {
    const found = access(caller, name);
    if (found) return found;
    throw noSuchRoot(path);
  }

  /** One descriptor for each kind of caller; opened again when the folder was replaced by another. */
  async function narrow(name: string, folder: string, writable: boolean): Promise<Backend> {
    const base = whole.get(name);
    if (!base) throw noSuchRoot(name);
    if (folder === "" && writable) return base.backend;
    const now = await base.root.stat(folder, { follow: true });
    const key = `${name}\0${folder}\0${writable}`;
    const known = narrowed.get(key);
    if (known && known.inode === now.inode && known.device === now.device) return known.backend;
    const made = backend(await base.root.sub(folder, { writable }));
    closing.push(made);
    narrowed.set(key, { backend: made, inode: now.inode, device: now.device });
    return made;
  }

  async function spot(caller: Caller, asked: string): Promise<Spot> {
    const path = cleanPath(asked);
    const confined = cleanPath(caller.path);
    if (confined !== "") {
      const { name, rest } = locate(confined);
      const { write } = demand(caller, name, path);
      return { backend: await narrow(name, rest, write).catch(goneConfine), path, above: "/" };
    }
    if (path === "" && names.length > 0) return { backend: await top(caller), path, above: "/" };
    const { name, rest } = locate(path);
    if (!whole.has(name)) throw noSuchRoot(path);
    const { write } = demand(caller, name, path);
    return { backend: await narrow(name, "", write), path: rest, above: aboveOf(name) };
  }

  function within(caller: Caller, asked: string): { readonly root: string; readonly rest: string } {
    const path = cleanPath(asked);
    const confined = cleanPath(caller.path);
    if (confined !== "") return { root: locate(confined).name, rest: path };
    if (path === "" && names.length > 0) {
      throw new PbError("unsupported", "the top of a server with several roots is no place for this", {
        path: "/",
        hint: "name one of its roots",
      });
    }
    const { name, rest } = locate(path);
    return { root: name, rest };
  }

  async function open(caller: Caller, root: string): Promise<Backend> {
    const confined = cleanPath(caller.path);
    const { write } = demand(caller, root, `/${root}`);
    if (confined === "") return narrow(root, "", write);
    const { name, rest } = locate(confined);
    if (name !== root) throw noSuchRoot(`/${root}`);
    return narrow(name, rest, write).catch(goneConfine);
  }

  async function spots(caller: Caller, asked: string) {
    const path = cleanPath(asked);
    if (path !== "" || cleanPath(caller.path) !== "" || names.length === 0) {
      return [{ ...(await spot(caller, path)), name: "" }];
    }
    const seen = [...whole.keys()].flatMap((name) => {
      const found = access(caller, name);
      return found ? [{ name, write: found.write }] : [];
    });
    if (seen.length === 0) throw noSuchRoot(path);
    const each = seen.map(async ({ name, write }) => ({
      backend: await narrow(name, "", write),
      path: "",
      above: aboveOf(name),
      name,
    }));
    return Promise.all(each);
  }

  async function top(caller: Caller): Promise<Backend> {
    const parts = await spots(caller, "");
    return topBackend(parts);
  }

  async function close(): Promise<void> {
    const all = closing.splice(0);
    await Promise.allSettled(all.map((each) => each.close()));
  }

  return { names, spot, within, open, spots, close, [Symbol.asyncDispose]: close };
}

interface Narrowed {
  readonly backend: Backend;
  readonly inode: bigint | undefined;
  readonly device: bigint | undefined;
}

function aboveOf(name: string): string {
  return name === "" ? "/" : `/${name}/`;
}

function noSuchRoot(path: string): PbError {
  return new PbError("not_found", "no root of this server is there", {
    path,
    hint: "the server's top lists the roots that this access opens; where it opens none, its token is for another",
  });
}

/** Who is confined to a folder knows it as the server's top. */
function goneConfine(error: unknown): never {
  if (!(error instanceof PbError) || error.code !== "not_found") throw error;
  throw new PbError("not_found", "the folder that this access is confined to is not there", {
    path: "/",
    hint: "whoever owns the server can make it",
    cause: error,
  });
}
