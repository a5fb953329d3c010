import type { CheckpointFiles } from "./files.ts";

/** Names in one folder: are they durable? Shared by those who change them, so that one sync serves all. */
export class Folder {
  readonly #files: CheckpointFiles;
  readonly #path: string;
  #changed = false;
  #syncing: Promise<void> = Promise.resolve();

  constructor(files: CheckpointFiles, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** A name was made, renamed or removed. */
  mark(): void {
    this.#changed = true;
  }

  /** All that was marked before is durable when it resolves. */
  settle(): Promise<void> {
    if (this.#changed) {
      this.#changed = false;
      this.#syncing = this.#syncing.then(() => this.#files.syncFolder(this.#path));
    }
    return this.#syncing;
  }
}
