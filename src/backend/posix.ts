import type { Capabilities } from "./backend.ts";

/** Of files that an engine reads and writes, on this machine or at a server. */
export const POSIX: Omit<Capabilities, "writable"> = {
  atomicRename: true,
  links: true,
  permissions: true,
  owners: true,
  mtimeResolutionNs: 1,
  serverSideCopy: true,
  parallelRead: true,
  parallelWrite: true,
  resumeWrite: true,
  atomicReplace: true,
  hashes: true,
  setMtime: true,
  append: true,
  folders: true,
  watch: "files are not watched for changes",
};
