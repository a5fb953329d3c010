import { createClient } from "@connectrpc/connect";
import { FileService } from "../../gen/packetboat/v1/file_pb.ts";
import { PbError } from "../../model/error.ts";
import { pathBytes } from "../../model/path.ts";
import { fromPeerError } from "../../wire/connect.ts";
import { entryFromWire } from "../../wire/entry.ts";
import { errorFromWire } from "../../wire/error.ts";
import { listedFromWire } from "../../wire/listed.ts";
import type { Backend, ListBatch, SessionPeer } from "../backend.ts";
import { pathAsAsked } from "../path.ts";
import { POSIX } from "../posix.ts";
import { refuseAborted } from "../signals.ts";
import type { PbConnection } from "./connection.ts";

export interface PbBackendOptions {
  readonly connection: PbConnection;
  readonly peer: SessionPeer;
  /** False for a client that was invited to read only. The server decides anyway. */
  readonly writable: boolean;
}

/** A remote server's files, over its FileService. Owns the connection. */
export function createPbBackend({ connection, peer, writable }: PbBackendOptions): Backend {
  const name = connection.peer;
  const files = createClient(FileService, connection.transport);
  const at = (path: string) => ({ remote: "", path: pathBytes(path) });

  /** Every failure as a `PbError` that names the remote; an abort of ours is always `aborted`. */
  async function call<T>(path: string, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    refuseAborted(signal);
    try {
      return await run();
    } catch (error) {
      throw pathAsAsked(fromPeerError(error, { peer: name, signal }), path);
    }
  }

  const backend: Backend = {
    scheme: "pb",
    name,
    capabilities: { ...POSIX, writable },

    async *list(path, { recursive, maxDepth = 0, follow, signal }) {
      refuseAborted(signal);
      try {
        const batches = files.list({ location: at(path), recursive, maxDepth, follow }, { signal });
        for await (const batch of batches) {
          yield {
            entries: batch.entries.map((entry) => listedFromWire(entry, name)),
            errors: batch.errors.map((error) => pathAsAsked(errorFromWire(error, name), path)),
          } satisfies ListBatch;
        }
      } catch (error) {
        throw pathAsAsked(fromPeerError(error, { peer: name, signal }), path);
      }
    },

    stat: (path, { follow, signal }) =>
      call(path, signal, async () => {
        const { entry } = await files.stat({ location: at(path), follow }, { signal });
        if (entry) return { ...entryFromWire(entry), path: "" };
        throw new PbError("protocol_violation", "the server answered a stat with nothing", {
          peer: name,
          path,
        });
      }),

    mkdir: (path, { parents, mode = 0, signal }) =>
      call(
        path,
        signal,
        async () => (await files.mkdir({ location: at(path), parents, mode }, { signal })).created,
      ),

    touch: (path, { mtimeNs, create, signal }) =>
      call(path, signal, async () => {
        const time = mtimeNs === undefined ? {} : { mtimeNs };
        await files.touch({ location: at(path), noCreate: !create, ...time }, { signal });
      }),

    rename: (from, to, { replace, signal }) =>
      call(from, signal, async () => {
        await files.rename({ source: at(from), destination: at(to), replace }, { signal });
      }),

    remove: (path, { recursive, signal }) =>
      call(path, signal, async () => {
        const { files: count, directories } = await files.remove(
          { location: at(path), recursive },
          { signal },
        );
        return { files: Number(count), directories: Number(directories) };
      }),

    native: { kind: "session", peer },
    close: () => connection.close(),
    [Symbol.asyncDispose]: () => connection.close(),
  };
  return backend;
}
