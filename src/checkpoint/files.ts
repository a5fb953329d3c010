import { mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { errnoOf } from "../model/errno.ts";

/**
 * The calls to the file system that this room makes, and no others. A seam: `testing/crash-files.ts` implements it to produce every
 * state that a crash may leave. Calls reject with what `node:fs` rejects with; `failure.ts` gives that its name.
 */
export interface CheckpointFiles {
  /** A new file, 0600; fails when the name is taken. Its name is durable after `syncFolder` of its folder. */
  create(path: string): Promise<CheckpointFile>;
  open(path: string, access: "read" | "write"): Promise<CheckpointFile>;
  /** Replaces what has the name. */
  rename(from: string, to: string): Promise<void>;
  /** A file that is not there is no error. */
  remove(path: string): Promise<void>;
  list(folder: string): Promise<string[]>;
  /** One level, 0700. */
  makeFolder(path: string): Promise<void>;
  removeFolder(path: string): Promise<void>;
  /** Names in this folder, new, renamed and removed, are durable when it resolves. */
  syncFolder(path: string): Promise<void>;
  /** undefined: nothing there. */
  modified(path: string): Promise<number | undefined>;
}

export interface CheckpointFile {
  /** All of `bytes`. */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** How many bytes were read; fewer than asked for at the end alone. */
  read(into: Uint8Array, at: number): Promise<number>;
  size(): Promise<number>;
  truncate(size: number): Promise<void>;
  /** fdatasync(2): content and size are durable. The times of a file mean nothing here, so fsync(2) would buy nothing. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export const nodeFiles: CheckpointFiles = {
  create: (path) => openFile(path, "wx+"),
  open: (path, access) => openFile(path, access === "read" ? "r" : "r+"),
  rename,
  remove: (path) => rm(path, { force: true }),
  list: (folder) => readdir(folder),
  makeFolder: async (path) => {
    await mkdir(path, { mode: 0o700 });
  },
  removeFolder: (path) => rmdir(path),
  syncFolder: async (path) => {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  modified: async (path) => {
    try {
      return (await stat(path)).mtimeMs;
    } catch (cause) {
      if (errnoOf(cause) === "ENOENT") return undefined;
      throw cause;
    }
  },
};

async function openFile(path: string, flags: string): Promise<CheckpointFile> {
  const handle = await open(path, flags, 0o600);
  return {
    write: async (bytes, at) => {
      for (let done = 0; done < bytes.length; ) {
        done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      }
    },
    read: async (into, at) => {
      let done = 0;
      while (done < into.length) {
        const { bytesRead } = await handle.read(into, done, into.length - done, at + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    size: async () => (await handle.stat()).size,
    truncate: (size) => handle.truncate(size),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
