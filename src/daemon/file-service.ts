import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Backend } from "../backend/backend.ts";
import type { FileService } from "../gen/packetboat/v1/file_pb.ts";
import type { Location } from "../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../model/error.ts";
import { entryToWire } from "../wire/entry.ts";
import { errorToWire } from "../wire/error.ts";

/** Something at a place. */
export interface Spot {
  readonly backend: Backend;
  /** `PathText` below the backend's root. */
  readonly path: string;
  /** What stands before `path` in the name by which the caller knows it; errors are told with it. */
  readonly above: string;
}

export interface FileServiceOptions {
  /** From what a caller named to a backend that holds no more than this caller may reach. */
  readonly resolve: (location: Location, context: HandlerContext) => Promise<Spot>;
}

/** FileService over backends: the same code for a server's roots and for this machine and its remotes. */
export function createFileService({ resolve }: FileServiceOptions): ServiceImpl<typeof FileService> {
  const spot = (location: Location | undefined, context: HandlerContext) => {
    if (!location) throw new PbError("invalid_argument", "the request names no location");
    return resolve(location, context);
  };
  /** A change: refused here too without the right to it, so that no backend can forget that. */
  async function change<T>(asked: Promise<Spot>, run: (spot: Spot) => Promise<T>): Promise<T> {
    const found = await asked;
    if (!found.backend.capabilities.writable) {
      const { path } = found;
      throw told(new PbError("read_only", "nothing may be changed here with this access", { path }), found);
    }
    return run(found).catch((error: unknown) => {
      throw told(error, found);
    });
  }

  return {
    async *list({ location, recursive, maxDepth, follow, namesOnly }, context) {
      const found = await spot(location, context);
      const { signal } = context;
      try {
        const batches = found.backend.list(found.path, { recursive, maxDepth, follow, namesOnly, signal });
        for await (const { entries, errors } of batches) {
          const failed = errors.map((error) => errorToWire(told(error, found)));
          yield { entries: entries.map(entryToWire), errors: failed };
        }
      } catch (error) {
        throw told(error, found);
      }
    },
    async stat({ location, follow }, context) {
      const found = await spot(location, context);
      try {
        const entry = await found.backend.stat(found.path, { follow, signal: context.signal });
        return { entry: entryToWire(entry) };
      } catch (error) {
        throw told(error, found);
      }
    },
    mkdir: ({ location, parents, mode }, context) =>
      change(spot(location, context), async ({ backend, path }) => {
        const options = { parents, ...(mode !== 0 && { mode }), signal: context.signal };
        return { created: await backend.mkdir(path, options) };
      }),
    touch: ({ location, mtimeNs, noCreate }, context) =>
      change(spot(location, context), async ({ backend, path }) => {
        const time = mtimeNs === undefined ? {} : { mtimeNs };
        await backend.touch(path, { create: !noCreate, ...time, signal: context.signal });
        return {};
      }),
    rename: ({ source, destination, replace }, context) =>
      change(spot(source, context), async ({ backend, path }) => {
        const to = await spot(destination, context);
        if (to.backend !== backend) {
          throw told(new PbError("cross_device", "a rename stays within one place", { path: to.path }), to);
        }
        await backend.rename(path, to.path, { replace, signal: context.signal });
        return {};
      }),
    remove: ({ location, recursive }, context) =>
      change(spot(location, context), async ({ backend, path }) => {
        const removed = await backend.remove(path, { recursive, signal: context.signal });
        return { files: BigInt(removed.files), directories: BigInt(removed.directories) };
      }),
  };
}

/** The error with the path as the caller knows it; a backend below a root knows only its own part. */
export function told(error: unknown, { above, backend, path: asked }: Spot): PbError {
  const known = PbError.from(error);
  const { path } = known;
  if (path === undefined) return known;
  // An endpoint may say it of a folder above, by a path that it has made of its parts.
  const top = above === "" && asked.startsWith("/") ? "/" : above;
  const placed = path.startsWith("/") || top === "" ? {} : { path: top + path };
  // A path of a remote's is nobody's without its name; a server's own is named by who asked it.
  const named = known.peer === undefined && backend.name !== "" ? { peer: backend.name } : {};
  return known.about({ ...placed, ...named });
}
