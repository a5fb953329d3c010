/** Writes to an endpoint what a receiving job of this process's engine has verified. */

import type { Backend, Can, ChunkAccess, Confirmed } from "../../backend/backend.ts";
import { retryingChunks } from "../../backend/wrap/retrying.ts";
import { PbError } from "../../model/error.ts";
import { dirName, joinPath, pathText } from "../../model/path.ts";
import type { Overwrite } from "../../model/transfer.ts";
import type { Pump, PumpAsk, PumpCalls, PumpSubject } from "../../native/pump.ts";
import { decideOverwrite } from "../../plan/overwrite.ts";
import { Tuner } from "../tuning.ts";
import { Buffers } from "./buffers.ts";
import { Existing } from "./existing.ts";
import { placeLink } from "./links.ts";
import { type Held, SinkFile } from "./sink-file.ts";

export interface SinkPumpOptions {
  readonly backend: Backend;
  readonly chunks: ChunkAccess;
  /** `PathText` at the endpoint; what the engine names is below it, or it itself with `exactName`. */
  readonly base: string;
  readonly exactName: boolean;
  readonly overwrite: Overwrite;
  /** Of the source, nanoseconds. */
  readonly sourceResolutionNs: number;
  readonly sync: boolean;
  readonly perms: boolean;
  readonly fixed?: number | undefined;
  /** Of the session, bytes. */
  readonly memoryBytes: number;
  readonly onConfirmed: (confirmed: Confirmed) => void;
  /** Told of links that the endpoint can't have, and why. */
  readonly onLeftOut: (path: string, why: Can) => void;
}

/** Of a session's memory so much may wait for what comes before it. */
const HELD_PART = 8;

export class SinkPump implements AsyncDisposable {
  readonly #options: SinkPumpOptions;
  readonly #tuner: Tuner;
  readonly #chunks: ChunkAccess;
  readonly #buffers = new Buffers();
  readonly #files = new Map<number, SinkFile>();
  readonly #existing: Existing;
  readonly #held: Held;
  /** Folders whose times are set at the end: what is put into them changes those. */
  readonly #folders: PumpSubject[] = [];
  /** Where folders are there by what is in them: those with nothing in them by now. */
  readonly #empty = new Set<string>();
  readonly #stop = new AbortController();

  constructor(options: SinkPumpOptions) {
    const { chunks, fixed, backend } = options;
    this.#options = options;
    this.#tuner = new Tuner({ max: chunks.maxCalls, ...(fixed ? { fixed } : {}) });
    this.#chunks = retryingChunks(chunks, { onRetry: (error) => this.#tuner.failed(error) });
    this.#held = { bytes: 0, most: options.memoryBytes / HELD_PART };
    this.#existing = new Existing(backend, this.#stop.signal);
  }

  readonly pump: Pump = (ask, calls) => {
    if (ask.kind === "discard") {
      const file = this.#files.get(ask.id);
      this.#files.delete(ask.id);
      file?.discard().catch(() => undefined);
      return;
    }
    this.#answer(ask, calls).catch((cause: unknown) =>
      calls.fail(ask.number, PbError.from(cause, "io_error")),
    );
  };

  async #answer(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const { number } = ask;
    switch (ask.kind) {
      case "offer":
        return calls.wanted(number, await this.#wants(demand(ask)));
      case "folder":
        await this.#folder(demand(ask));
        return calls.done(number);
      case "link":
        return this.#link(ask, calls);
      case "put":
        await this.#put(ask, calls);
        return calls.done(number);
      case "create":
        this.#create(ask.id, demand(ask));
        await this.#fileOf(ask).opened;
        return calls.done(number);
      case "write":
        return this.#fileOf(ask).write(ask, calls);
      case "commit":
        this.#options.onConfirmed(await this.#fileOf(ask).commit());
        this.#files.delete(ask.id);
        return calls.done(number);
      case "end":
        await this.#end();
        return calls.done(number);
      default:
        throw new PbError("internal", `a sink was asked to ${ask.kind}`);
    }
  }

  #at(path: string): string {
    return joinPath(this.#options.base, path);
  }

  async #wants(subject: PumpSubject): Promise<boolean> {
    const path = this.#at(subject.path);
    this.#holds(path);
    const { overwrite, sourceResolutionNs, backend, exactName } = this.#options;
    const existing = await this.#tuner.run(0, () => this.#existing.find(path, { alone: exactName }));
    if (existing?.kind === "directory") {
      throw new PbError("is_a_directory", "a folder is in the way of a file of that name", { path });
    }
    const resolutions = {
      sourceNs: sourceResolutionNs,
      destinationNs: backend.capabilities.mtimeResolutionNs,
    };
    return decideOverwrite(overwrite, { source: subject, existing, resolutions }).write;
  }

  async #link(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const { mtimeNs, path: below } = demand(ask);
    const path = this.#at(below);
    const { backend, exactName, onLeftOut, overwrite } = this.#options;
    const text = Buffer.allocUnsafeSlow(ask.length);
    if (!calls.take(ask.number, text)) return;
    const link = { path, target: pathText(text), mtimeNs, signal: this.#stop.signal };
    const find = () => this.#existing.find(path, { alone: exactName });
    const placed = await this.#tuner.run(0, () => placeLink(link, { chunks: this.#chunks, overwrite, find }));
    if (placed === "left out") onLeftOut(path, backend.capabilities.links);
    if (placed === "placed") {
      this.#holds(path);
      calls.done(ask.number);
    } else calls.wanted(ask.number, false);
  }

  async #folder(subject: PumpSubject): Promise<void> {
    const { backend } = this.#options;
    const { signal } = this.#stop;
    const path = this.#at(subject.path);
    if (backend.capabilities.folders !== true) {
      this.#empty.add(path);
      return;
    }
    await this.#tuner.run(0, () => backend.mkdir(path, { parents: true, signal }));
    if (this.#chunks.setFolder) this.#folders.push(subject);
  }

  async #put(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const subject = demand(ask);
    const { signal } = this.#stop;
    this.#holds(this.#at(subject.path));
    const options = { meta: this.#meta(subject), sync: this.#options.sync, signal };
    await this.#tuner.run(ask.length, async () => {
      const bytes = Buffer.allocUnsafeSlow(ask.length);
      if (!calls.take(ask.number, bytes)) return;
      this.#options.onConfirmed(await this.#chunks.writeWhole(this.#at(subject.path), bytes, options));
    });
  }

  #create(id: number, subject: PumpSubject): void {
    const { signal } = this.#stop;
    const { sync } = this.#options;
    const path = this.#at(subject.path);
    this.#holds(path);
    const options = { meta: this.#meta(subject), sync, size: subject.size, signal };
    const opened = this.#tuner.run(0, () => this.#chunks.create(path, options));
    const shared = { tuner: this.#tuner, buffers: this.#buffers, held: this.#held, signal };
    this.#files.set(id, new SinkFile(opened, { ...shared, size: subject.size }));
  }

  #meta({ mtimeNs, mode }: PumpSubject) {
    return { mtimeNs, ...(this.#options.perms ? { mode } : {}) };
  }

  #fileOf({ id }: PumpAsk): SinkFile {
    const file = this.#files.get(id);
    if (file) return file;
    throw new PbError("aborted", "the file was given up");
  }

  /** Something is, or will be, at a path: its folders are there. */
  #holds(path: string): void {
    for (let at = dirName(path); this.#empty.delete(at); ) at = dirName(at);
  }

  /** An empty folder is kept where it can be; that is no failure of the transfer where it can't. */
  async #keepEmpty(path: string): Promise<void> {
    try {
      await this.#options.backend.mkdir(path, { parents: true, signal: this.#stop.signal });
    } catch (cause) {
      if (PbError.from(cause).code !== "unsupported") throw cause;
    }
  }

  /** The deepest first: setting a folder's times changes none above it, but a permission may. */
  async #end(): Promise<void> {
    const { signal } = this.#stop;
    for (const path of this.#empty) await this.#keepEmpty(path);
    for (const subject of this.#folders.splice(0).reverse()) {
      const options = { meta: this.#meta(subject), signal };
      await this.#chunks.setFolder?.(this.#at(subject.path), options);
    }
  }

  /** What is not whole by now goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const open = [...this.#files.values()];
    this.#files.clear();
    await Promise.allSettled(open.map((file) => file.discard()));
  }
}

function demand({ subject }: PumpAsk): PumpSubject {
  if (subject) return subject;
  throw new PbError("internal", "a call about nothing");
}
