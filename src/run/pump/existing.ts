import type { Backend } from "../../backend/backend.ts";
import type { Entry } from "../../model/entry.ts";
import { PbError } from "../../model/error.ts";
import { baseName, dirName, joinPath } from "../../model/path.ts";
import { entryAt } from "../destination.ts";

/** Folders whose listing is kept: files come folder by folder, from a few at once. */
const MAX_FOLDERS = 16;

/** What is at an endpoint, asked for file by file: each folder is listed once, as that costs what one or two questions do. */
export class Existing {
  readonly #backend: Backend;
  readonly #signal: AbortSignal;
  readonly #folders = new Map<string, Promise<ReadonlyMap<string, Entry>>>();

  constructor(backend: Backend, signal: AbortSignal) {
    this.#backend = backend;
    this.#signal = signal;
  }

  /** @param options.alone Nothing else of its folder will be asked for. */
  async find(path: string, { alone }: { readonly alone: boolean }): Promise<Entry | undefined> {
    if (alone) return entryAt(this.#backend, path, this.#signal);
    const folder = dirName(path);
    let listed = this.#folders.get(folder);
    if (listed === undefined) {
      const [oldest] = this.#folders.keys();
      if (this.#folders.size >= MAX_FOLDERS && oldest !== undefined) this.#folders.delete(oldest);
      listed = this.#list(folder);
      listed.catch(() => this.#folders.delete(folder));
      this.#folders.set(folder, listed);
    }
    return (await listed).get(baseName(path));
  }

  async #list(folder: string): Promise<ReadonlyMap<string, Entry>> {
    const found = new Map<string, Entry>();
    try {
      const options = { recursive: false, follow: false, signal: this.#signal };
      for await (const { entries, errors } of this.#backend.list(folder, options)) {
        for (const entry of entries) found.set(entry.path, entry);
        const [error] = errors;
        if (error) throw error;
      }
    } catch (cause) {
      const error = PbError.from(cause, "io_error", { path: joinPath(folder, "") });
      if (error.code !== "not_found" && error.code !== "not_a_directory") throw error;
    }
    return found;
  }
}
