/** Small private files: owner only, replaced or created whole, on disk before the call returns. */

import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { codeOfErrno, errnoOf } from "../model/errno.ts";
import { PbError } from "../model/error.ts";

/** A failed system call as a `PbError` that names the file. */
export function fileError(cause: unknown, path: string): PbError {
  if (cause instanceof PbError) return cause;
  return new PbError(
    codeOfErrno(cause) ?? "io_error",
    `${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
    {
      path,
      cause,
    },
  );
}

/** Makes the folder with mode 0700, or checks that nobody else may write into the one that is there. */
export async function ensurePrivateFolder(path: string): Promise<void> {
  try {
    await makeFolders(path);
    const found = await stat(path);
    if (!found.isDirectory()) throw new PbError("not_a_directory", `${path} is not a folder`, { path });
    if ((found.mode & 0o022) === 0) return;
  } catch (cause) {
    throw fileError(cause, path);
  }
  throw new PbError("permission_denied", `${path} can be written by other users`, {
    path,
    hint: `chmod 700 ${path}`,
  });
}

/** Not Node's `recursive`: of a disk that is mounted read-only that says that nothing was found. */
async function makeFolders(path: string): Promise<void> {
  const make = () =>
    mkdir(path, { mode: 0o700 }).catch((cause: unknown) => {
      if (errnoOf(cause) !== "EEXIST") throw cause;
    });
  try {
    await make();
  } catch (cause) {
    if (errnoOf(cause) !== "ENOENT" || dirname(path) === path) throw cause;
    await makeFolders(dirname(path));
    await make();
  }
}

/** @throws PbError `not_found`, `permission_denied` */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw fileError(cause, path);
  }
}

/** Like `readText`, and refuses a secret that other users may read. */
export async function readSecret(path: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { mode } = await file.stat();
      if ((mode & 0o077) === 0) return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw fileError(cause, path);
  }
  throw new PbError("permission_denied", `the secret in ${path} can be read by other users`, {
    path,
    hint: `chmod 600 ${path}; if others may have read it, make a new one`,
  });
}

/** Replaces the file whole; after a crash the old or the new content is there. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const beside = await writeBeside(path, content);
  try {
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await unlink(beside).catch(() => {});
    throw fileError(cause, path);
  }
}

/** Creates the file whole; false when it is there already. Of several callers at once exactly one gets true. */
export async function createFile(path: string, content: string): Promise<boolean> {
  const beside = await writeBeside(path, content);
  try {
    await link(beside, path);
    await syncFolder(dirname(path));
    return true;
  } catch (cause) {
    if (errnoOf(cause) === "EEXIST") return false;
    throw fileError(cause, path);
  } finally {
    await unlink(beside).catch(() => {});
  }
}

async function writeBeside(path: string, content: string): Promise<string> {
  const beside = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(beside, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    return beside;
  } catch (cause) {
    await unlink(beside).catch(() => {});
    throw fileError(cause, path);
  }
}

/** Names in the folder, new, renamed and removed, are durable when it resolves. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
