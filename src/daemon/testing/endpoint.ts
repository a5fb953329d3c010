import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FolderChunksOptions } from "../../backend/testing/folder-chunks.ts";
import { folderEndpoint } from "../../backend/testing/folder-endpoint.ts";
import { openRoot } from "../../native/root.ts";
import type { LoopbackOptions } from "./loopback.ts";

type Remotes = NonNullable<LoopbackOptions["remotes"]>;

/** A remote of a loopback: a folder of its name there, as an endpoint without an engine. */
export function endpoint(name: string, options: Omit<FolderChunksOptions, "root"> = {}): Remotes {
  const open: Remotes[string] = async (folder) => {
    const root = join(folder, name);
    mkdirSync(root, { recursive: true });
    const fileRoot = await openRoot({ directory: root, resolve: "beneath", writable: true });
    return folderEndpoint({ ...options, root, fileRoot, name });
  };
  return { [name]: open };
}
