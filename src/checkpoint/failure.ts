import { codeOfErrno } from "../model/errno.ts";
import { type ErrorCode, PbError } from "../model/error.ts";
import type { CheckpointFile, CheckpointFiles } from "./files.ts";

const KEPT = "what was recorded before stays, and the transfer can be resumed from it";
const ELSEWHERE = "point PB_HOME, or the server's state folder, to a place that can be written";
const HINTS: Partial<Record<ErrorCode, string>> = {
  no_space: `free some space there; ${KEPT}`,
  read_only: ELSEWHERE,
  permission_denied: ELSEWHERE,
  io_error: `look at the disk (dmesg); ${KEPT}`,
  fsync_failed: `look at the disk (dmesg); ${KEPT}`,
};

/** Only what happened to the disk decides; a file that failed to sync is never synced again. */
function failed(cause: unknown, action: string, path: string): PbError {
  if (cause instanceof PbError) return cause;
  const code = codeOfErrno(cause) ?? (action === "sync" ? "fsync_failed" : "io_error");
  const text = cause instanceof Error ? cause.message : String(cause);
  const hint = HINTS[code];
  return new PbError(code, `could not ${action} the checkpoint file ${path}: ${text}`, {
    path,
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** What the meter of `stats.ts` wants to know. */
export interface Written {
  wrote(bytes: number): void;
  synced(): void;
}

/** `files` with every failure as a `PbError` that names the file, and every write and sync counted. */
export function namedFiles(files: CheckpointFiles, written: Written): CheckpointFiles {
  const named = async <T>(action: string, path: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      throw failed(cause, action, path);
    }
  };
  const file = (path: string, of: CheckpointFile): CheckpointFile => ({
    write: async (bytes, at) => {
      await named("write", path, of.write(bytes, at));
      written.wrote(bytes.length);
    },
    read: (into, at) => named("read", path, of.read(into, at)),
    size: () => named("read", path, of.size()),
    truncate: (size) => named("cut", path, of.truncate(size)),
    sync: async () => {
      await named("sync", path, of.sync());
      written.synced();
    },
    close: () => named("close", path, of.close()),
  });
  return {
    create: async (path) => file(path, await named("create", path, files.create(path))),
    open: async (path, access) => file(path, await named("open", path, files.open(path, access))),
    rename: (from, to) => named("rename", to, files.rename(from, to)),
    remove: (path) => named("remove", path, files.remove(path)),
    list: (folder) => named("list", folder, files.list(folder)),
    makeFolder: (path) => named("create", path, files.makeFolder(path)),
    removeFolder: (path) => named("remove", path, files.removeFolder(path)),
    syncFolder: async (path) => {
      await named("sync", path, files.syncFolder(path));
      written.synced();
    },
    modified: (path) => named("look at", path, files.modified(path)),
  };
}
