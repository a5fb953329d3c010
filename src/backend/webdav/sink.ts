/**
 * Writing: a PUT to a name of its own beside the final one, then a MOVE. Never with Content-Range, which a server that does not know it takes
 * for the whole file (RFC 9110 section 14.5).
 */
import { PbError } from "../../model/error.ts";
import { dirName, joinPath } from "../../model/path.ts";
import type { ChunkSink, Confirmed, CreateChunksOptions, WriteWholeOptions } from "../chunks.ts";
import { partName } from "../part-name.ts";
import { refuseAborted } from "../signals.ts";
import type { WebClient } from "../web/client.ts";
import type { Asked } from "../web/listing.ts";
import { componentsOf } from "../web/path.ts";
import { refuseOtherSize, startUpload } from "../web/upload.ts";
import { makeFolder } from "./change.ts";
import { entryAt } from "./propfind.ts";
import { removeQuietly } from "./quietly.ts";
import { timeHeaders } from "./times.ts";

export interface Writer {
  create(path: string, options: CreateChunksOptions): Promise<ChunkSink>;
  writeWhole(path: string, bytes: Uint8Array, options: WriteWholeOptions): Promise<Confirmed>;
}

export function createWriter(client: WebClient, { keepsTimes }: { readonly keepsTimes: boolean }): Writer {
  const folders = knownFolders(client);
  const headersOf = (mtimeNs: bigint) => (keepsTimes ? timeHeaders(mtimeNs) : {});
  return {
    async create(path, options) {
      const { size, meta, resume, nameTag, signal } = options;
      refuseAborted(signal);
      const target = normal(path);
      if (resume !== undefined)
        throw new PbError("corrupt_checkpoint", "an upload by PUT cannot be gone on with", {
          path,
          peer: client.peer,
        });
      await folders.make({ path: target, signal });
      const temporary = temporaryFor(target, nameTag);
      return openSink(client, { path: target, temporary, size, headers: headersOf(meta.mtimeNs) });
    },
    async writeWhole(path, bytes, { meta, nameTag, signal }) {
      refuseAborted(signal);
      const target = normal(path);
      await folders.make({ path: target, signal });
      const temporary = temporaryFor(target, nameTag);
      const headers = headersOf(meta.mtimeNs);
      // Copied: a connection may hold it for longer than this call.
      (
        await client.send({ method: "PUT", path: temporary, headers, body: Buffer.from(bytes), signal })
      ).drop();
      await compare(client, { path: target, temporary, sent: bytes.length, signal }).catch(
        async (error: unknown) => {
          await removeQuietly(client, temporary);
          throw error;
        },
      );
      await place(client, { path: temporary, to: target, signal });
      return { how: "size" };
    },
  };
}

/** @throws PbError `path_escapes`, `invalid_path` */
const normal = (path: string) => componentsOf(path).join("/");

function temporaryFor(path: string, nameTag: number | undefined): string {
  return joinPath(dirName(path), partName(nameTag));
}

/** Folders that were there or were made, so that each is asked for once. */
function knownFolders(client: WebClient): { make(asked: Asked): Promise<void> } {
  const known = new Map<string, Promise<unknown>>();
  return {
    async make({ path, signal }) {
      const folder = dirName(path);
      if (folder === "") return;
      const made = known.get(folder) ?? makeFolder(client, { path: folder, parents: true, signal });
      known.set(folder, made);
      try {
        await made;
      } catch (error) {
        known.delete(folder);
        const failure = PbError.from(error);
        if (failure.code !== "exists") throw failure;
        throw new PbError("not_a_directory", "a folder on the way there is a file", {
          path,
          peer: client.peer,
          cause: error,
        });
      }
    },
  };
}

/** A server that says "201" may have less: a quota, a proxy that gave up. @throws PbError `verification_failed` */
async function compare(
  client: WebClient,
  {
    path,
    temporary,
    sent,
    signal,
  }: Asked & {
    readonly temporary: string;
    readonly sent: number;
  },
): Promise<void> {
  const { size: there } = await entryAt(client, { path: temporary, signal });
  refuseOtherSize(client, path, { sent, there });
}

async function place(
  client: WebClient,
  { path, to, signal }: Asked & { readonly to: string },
): Promise<void> {
  const headers = { destination: client.urlOf(to).href, overwrite: "T" };
  try {
    (await client.send({ method: "MOVE", path, headers, signal })).drop();
  } catch (error) {
    await removeQuietly(client, path);
    throw await explained(client, to, error, signal);
  }
}

/** A folder in the way is refused by each server in its own words. */
async function explained(
  client: WebClient,
  path: string,
  error: unknown,
  signal: AbortSignal,
): Promise<PbError> {
  const failure = PbError.from(error);
  if (failure.retryable || failure.code === "aborted") return failure;
  const there = await entryAt(client, { path, signal }).catch(() => undefined);
  if (there?.kind !== "directory") return failure;
  return new PbError("is_a_directory", "a folder has this name", { path, peer: client.peer, cause: error });
}

interface Writing {
  readonly path: string;
  readonly temporary: string;
  readonly size: number;
  readonly headers: Readonly<Record<string, string>>;
}

function openSink(client: WebClient, { path, temporary, size, headers }: Writing): ChunkSink {
  const upload = startUpload(client, { path: temporary, size, headers });
  let over = false;
  const giveUp = async () => {
    if (over) return;
    over = true;
    await upload.stop();
    await removeQuietly(client, temporary);
  };
  return {
    order: "ascending",
    blockBytes: 1,
    write: (_offset, parts, signal) => upload.write(parts, signal),
    ...(client.putStream && { writeFrom: upload.writeFrom }),
    state: async () => new Uint8Array(),
    async commit(signal) {
      await upload.finish(signal);
      await compare(client, { path, temporary, sent: upload.sent, signal });
      await place(client, { path: temporary, to: path, signal });
      over = true;
      return { how: "size" };
    },
    discard: giveUp,
    // Nothing of it can be gone on with.
    [Symbol.asyncDispose]: giveUp,
  };
}
