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
  return {
    async *list(request, context) {
      const { backend, path } = await spot(request.location, context);
      const { recursive, maxDepth, follow } = request;
      const batches = backend.list(path, { recursive, maxDepth, follow, signal: context.signal });
      for await (const { entries, errors } of batches) {
        yield { entries: entries.map(entryToWire), errors: errors.map(errorToWire) };
      }
    },
    async stat({ location, follow }, context) {
      const { backend, path } = await spot(location, context);
      return { entry: entryToWire(await backend.stat(path, { follow, signal: context.signal })) };
    },
    async mkdir({ location, parents, mode }, context) {
      const { backend, path } = await changing(spot(location, context));
      const options = { parents, ...(mode !== 0 && { mode }), signal: context.signal };
      return { created: await backend.mkdir(path, options) };
    },
    async touch({ location, mtimeNs, noCreate }, context) {
      const { backend, path } = await changing(spot(location, context));
      const options = {
        create: !noCreate,
        ...(mtimeNs !== undefined && { mtimeNs }),
        signal: context.signal,
      };
      await backend.touch(path, options);
      return {};
    },
    async rename({ source, destination, replace }, context) {
      const from = await changing(spot(source, context));
      const to = await spot(destination, context);
      if (from.backend !== to.backend) {
        throw new PbError("cross_device", "a rename stays within one place", { path: to.path });
      }
      await from.backend.rename(from.path, to.path, { replace, signal: context.signal });
      return {};
    },
    async remove({ location, recursive }, context) {
      const { backend, path } = await changing(spot(location, context));
      const removed = await backend.remove(path, { recursive, signal: context.signal });
      return { files: BigInt(removed.files), directories: BigInt(removed.directories) };
    },
  };
}

/** Refused here too, so that no backend can forget it. */
async function changing(asked: Promise<Spot>): Promise<Spot> {
  const found = await asked;
  if (found.backend.capabilities.writable) return found;
  throw new PbError("read_only", "nothing may be changed here with this access", { path: found.path });
}
