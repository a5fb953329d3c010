import type { CheckpointFile, CheckpointFiles } from "../files.ts";
import type { Change, Disk, Operation } from "./crash-disk.ts";

/** What a call may be told to fail with. */
export type Fault = (call: {
  readonly action: string;
  readonly path: string;
  readonly count: number;
}) => string | undefined;

export interface CrashFilesOptions {
  readonly disk: Disk;
  /** Everything that was done, in order. */
  readonly log?: Operation[];
  /** Calls that change something after which the process is no more: the others never return. */
  readonly dieAfter?: number;
  /** Is this sync forgotten? Gets its number, from 0. */
  readonly dropSync?: (sync: { readonly number: number; readonly path: string }) => boolean;
  readonly fault?: Fault;
}

function errno(code: string): Error {
  return Object.assign(new Error(`${code}: made to fail`), { code });
}

/** One process that uses the disk. */
export class CrashFiles implements CheckpointFiles {
  readonly #options: CrashFilesOptions;
  readonly #disk: Disk;
  #changes = 0;
  #syncs = 0;
  #calls = 0;
  #dead = false;
  #die: () => void = () => {};
  readonly #death = new Promise<void>((resolve) => {
    this.#die = resolve;
  });

  constructor(options: CrashFilesOptions) {
    this.#options = options;
    this.#disk = options.disk;
  }

  get syncs(): number {
    return this.#syncs;
  }

  /** Resolves when `dieAfter` or `kill` has come. */
  get died(): Promise<void> {
    return this.#death;
  }

  /** As kill -9: what is under way never returns. */
  kill(): void {
    this.#dead = true;
    this.#die();
  }

  async create(path: string): Promise<CheckpointFile> {
    await this.#call("create", path);
    const { folder, name } = this.#parent(path);
    if (this.#disk.names(folder).has(name)) throw errno("EEXIST");
    const node = this.#disk.make("file");
    this.#change(folder, { kind: "link", name, node }, path);
    return this.#file(node, path);
  }

  async open(path: string, access: "read" | "write"): Promise<CheckpointFile> {
    await this.#call(access === "read" ? "open" : "open to write", path);
    return this.#file(this.#find(path), path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call("rename", to);
    const { folder, name } = this.#parent(to);
    const old = this.#parent(from).name;
    this.#change(folder, { kind: "rename", from: old, to: name, node: this.#find(from) }, to);
  }

  async remove(path: string): Promise<void> {
    await this.#call("remove", path);
    const { folder, name } = this.#parent(path);
    if (this.#disk.names(folder).has(name)) this.#change(folder, { kind: "unlink", name }, path);
  }

  async list(folder: string): Promise<string[]> {
    await this.#call("list", folder);
    return [...this.#disk.names(this.#find(folder)).keys()];
  }

  async makeFolder(path: string): Promise<void> {
    await this.#call("create", path);
    const { folder, name } = this.#parent(path);
    this.#change(folder, { kind: "link", name, node: this.#disk.make("folder") }, path);
  }

  async removeFolder(path: string): Promise<void> {
    await this.#call("remove", path);
    if (this.#disk.names(this.#find(path)).size > 0) throw errno("ENOTEMPTY");
    const { folder, name } = this.#parent(path);
    this.#change(folder, { kind: "unlink", name }, path);
  }

  async syncFolder(path: string): Promise<void> {
    await this.#call("sync", path);
    this.#sync(this.#find(path), path);
  }

  async modified(path: string): Promise<number | undefined> {
    await this.#call("look", path);
    return this.#disk.find(path) === undefined ? undefined : 0;
  }

  #file(node: number, path: string): CheckpointFile {
    return {
      write: async (bytes, at) => {
        await this.#call("write", path);
        this.#change(node, { kind: "write", at, bytes: new Uint8Array(bytes) }, path);
      },
      read: async (into, at) => {
        await this.#call("read", path);
        const piece = this.#disk.content(node).subarray(at, at + into.length);
        into.set(piece);
        return piece.length;
      },
      size: async () => this.#disk.content(node).length,
      truncate: async (size) => {
        await this.#call("truncate", path);
        this.#change(node, { kind: "truncate", size }, path);
      },
      sync: async () => {
        await this.#call("sync", path);
        this.#sync(node, path);
      },
      close: async () => {},
    };
  }

  #change(node: number, change: Change, path: string): void {
    const operation = { node, change, path };
    this.#disk.apply(operation);
    this.#options.log?.push(operation);
    this.#changes += 1;
    if (this.#changes === this.#options.dieAfter) this.kill();
  }

  #sync(node: number, path: string): void {
    const number = this.#syncs;
    this.#syncs += 1;
    if (this.#options.dropSync?.({ number, path })) return;
    const operation = { node, change: "sync", path } as const;
    this.#disk.apply(operation);
    this.#options.log?.push(operation);
  }

  async #call(action: string, path: string): Promise<void> {
    await Promise.resolve();
    if (this.#dead) await new Promise<never>(() => {});
    const code = this.#options.fault?.({ action, path, count: this.#calls });
    this.#calls += 1;
    if (code !== undefined) throw errno(code);
  }

  #find(path: string): number {
    const node = this.#disk.find(path);
    if (node === undefined) throw errno("ENOENT");
    return node;
  }

  #parent(path: string): { folder: number; name: string } {
    const cut = path.lastIndexOf("/");
    return { folder: this.#find(path.slice(0, cut)), name: path.slice(cut + 1) };
  }
}
