import type { FileRoot } from "../../native/root.ts";
import type { Backend } from "../backend.ts";
import { createLocalBackend } from "../local/backend.ts";
import { type FolderChunksOptions, folderChunks } from "./folder-chunks.ts";

/** A backend over a root whose bytes JavaScript carries. */
export function folderEndpoint({
  fileRoot,
  name = "folder",
  ...options
}: FolderChunksOptions & { readonly fileRoot: FileRoot; readonly name?: string }): Backend {
  const local = createLocalBackend({ root: fileRoot, name });
  const { parallel = true, order = "any" } = options;
  return {
    ...local,
    scheme: "folder",
    capabilities: {
      ...local.capabilities,
      owners: false,
      mtimeResolutionNs: 1_000_000,
      serverSideCopy: false,
      parallelRead: parallel || "this test reads in order",
      parallelWrite: order === "any" || "this test writes in order",
    },
    native: { kind: "chunks", chunks: folderChunks(options) },
  };
}
