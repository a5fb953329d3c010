/** Writes to an endpoint what a receiving job of this process's engine has verified. */

import type { Backend, Can, ChunkAccess, ChunkSink, Confirmed } from "../../backend/backend.ts";
import { chunksInTurn } from "../../backend/wrap/in-turn.ts";
import { retryingChunks } from "../../backend/wrap/retrying.ts";
import { PbError } from "../../model/error.ts";
import { dirName, joinPath, pathText } from "../../model/path.ts";
import type { Overwrite } from "../../model/transfer.ts";
import type { Pump, PumpAsk, PumpCalls, PumpSubject } from "../../native/pump.ts";
import type { Hasher } from "../../native/types.ts";
import { decideOverwrite } from "../../plan/overwrite.ts";
import { Tuner } from "../tuning.ts";
import { Buffers } from "./buffers.ts";
import { Existing } from "./existing.ts";
import { placeLink } from "./links.ts";
import { removePart } from "./remove-part.ts";
import { Reread } from "./reread.ts";
import { Said } from "./said.ts";
import { DISCARD_MS, type Held, SinkFile } from "./sink-file.ts";
import { StreamFile } from "./stream-file.ts";

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
  /** See CreateChunksOptions. Given where something is kept for a later run. */
  readonly nameTag?: number;
  /** When the job began, ms since 1970, where an earlier run of it may have been killed. */
  readonly begunMs?: number | undefined;
  /** Of a stream, whose parts the engine does not record: told what it leaves (`ChunkSink.leaves`) before the first byte goes. */
  readonly onLeaves?: ((path: string, leaves: Uint8Array) => Promise<void>) | undefined;
  /** Given where what was written is to be read again and compared. */
  readonly hasher?: () => Hasher;
  readonly onConfirmed: (confirmed: Confirmed) => void;
  /** Told of links that the endpoint can't have, and why. */
  readonly onLeftOut: (path: string, why: Can) => void;
  /** Told why no file of which an earlier run has written something is gone on with. */
  readonly onBegunAnew?: (why: string) => void;
}

/** Of a session's memory so much may wait for what comes before it. */
const HELD_PART = 8;

export class SinkPump implements AsyncDisposable {
  readonly #options: SinkPumpOptions;
  readonly #tuner: Tuner;
  readonly #chunks: ChunkAccess;
  readonly #buffers = new Buffers();
  readonly #files = new Map<number, SinkFile | StreamFile>();
  readonly #existing: Existing;
  readonly #held: Held;
  readonly #said = new Said();
  /** Folders whose times are set at the end: what is put into them changes those. */
  readonly #folders: PumpSubject[] = [];
  /** Where folders are there by what is in them: those with nothing in them by now. */
  readonly #empty = new Set<string>();
  /** Removals under way. */
  readonly #clearing = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();
  /** By then whatever an earlier run began had begun, ms since 1970. */
  readonly #startedMs = Date.now();

  constructor(options: SinkPumpOptions) {
    const { chunks, fixed, backend } = options;
    this.#options = options;
    this.#tuner = new Tuner({ max: chunks.maxCalls, ...(fixed ? { fixed } : {}) });
    this.#chunks = retryingChunks(chunksInTurn(chunks), { onRetry: (error) => this.#tuner.failed(error) });
    this.#held = { bytes: 0, most: options.memoryBytes / HELD_PART };
    this.#existing = new Existing(backend, this.#stop.signal);
  }

  /** An error that the engine reports of this job's files, in the words of the endpoint that made it. */
  explain(error: PbError): PbError {
    return this.#said.explain(error);
  }

  readonly pump: Pump = (ask, given) => {
    const fail: PumpCalls["fail"] = (number, error) => {
      this.#said.note(error);
      given.fail(number, error);
    };
    const calls = { ...given, fail };
    if (ask.kind === "discard") {
      const file = this.#files.get(ask.id);
      this.#files.delete(ask.id);
      if (file) this.#later(file.discard());
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
        return this.#create(ask, calls);
      case "write":
        return this.#fileOf(ask).write(ask, calls);
      case "commit":
        return this.#commit(ask, calls);
      case "known":
        return calls.wanted(number, !(await this.#stands(demand(ask))));
      case "resume":
        return this.#resume(ask, calls);
      case "state":
        return calls.state(number, await this.#fileOf(ask).state());
      case "leave":
        await this.#leave(ask);
        return calls.done(number);
      case "forget":
        return this.#forget(ask, calls);
      case "end":
        await this.#end();
        return calls.done(number);
      default:
        throw new PbError("internal", `a sink was asked to ${ask.kind}`);
    }
  }

  async #commit(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const root = memoryOf(ask, calls);
    const file = this.#fileOf(ask);
    const confirmed = await file.commit();
    this.#files.delete(ask.id);
    const { hasher, onConfirmed } = this.#options;
    if (hasher) await this.#reread(file.path, ask.offset).isFile(root, hasher());
    onConfirmed(confirmed);
    calls.done(ask.number);
  }

  #reread(path: string, size: number): Reread {
    const { backend } = this.#options;
    return new Reread({
      backend,
      chunks: this.#chunks,
      tuner: this.#tuner,
      path,
      size,
      signal: this.#stop.signal,
    });
  }

  #at(path: string): string {
    return joinPath(this.#options.base, path);
  }

  async #wants(subject: PumpSubject): Promise<boolean> {
    const path = this.#at(subject.path);
    this.#holds(path);
    const existing = await this.#find(path);
    if (existing?.kind === "directory") {
      throw new PbError("is_a_directory", "a folder is in the way of a file of that name", { path });
    }
    const resolutions = this.#resolutions();
    return decideOverwrite(this.#options.overwrite, { source: subject, existing, resolutions }).write;
  }

  /** Is a file that an earlier run finished there as it was left, as far as the endpoint tells? */
  async #stands(subject: PumpSubject): Promise<boolean> {
    const path = this.#at(subject.path);
    const existing = await this.#find(path);
    if (existing?.kind !== "file" || existing.size !== subject.size) return false;
    this.#holds(path);
    if (this.#options.backend.capabilities.setMtime !== true) return true;
    const resolutions = this.#resolutions();
    return !decideOverwrite("if-different", { source: subject, existing, resolutions }).write;
  }

  #find(path: string) {
    const alone = this.#options.exactName;
    return this.#tuner.run(0, () => this.#existing.find(path, { alone }));
  }

  #resolutions() {
    const { sourceResolutionNs, backend } = this.#options;
    const { mtimeResolutionNs, setMtime } = backend.capabilities;
    return {
      sourceNs: sourceResolutionNs,
      destinationNs: mtimeResolutionNs,
      putTimes: setMtime !== true,
    };
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
    const options = { ...this.#common(subject), signal };
    await this.#tuner.run(ask.length, async () => {
      const bytes = Buffer.allocUnsafeSlow(ask.length);
      if (!calls.take(ask.number, bytes)) return;
      const path = this.#at(subject.path);
      this.#options.onConfirmed(await this.#chunks.writeWhole(path, bytes, options));
      if (this.#options.hasher) await this.#reread(path, bytes.length).isBytes(bytes);
    });
  }

  async #create(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const { leaves } = await this.#open(ask, {}).opened;
    if (leaves) calls.state(ask.number, leaves);
    else calls.done(ask.number);
  }

  /** Goes on with what an earlier run has written, as far as the endpoint still has it. */
  async #resume(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const resume = memoryOf(ask, calls);
    const { has = [] } = await this.#open(ask, { resume }).opened;
    const ranges = has.flatMap(({ from, to }) => [from, to]);
    calls.has(ask.number, ranges);
  }

  #open(ask: PumpAsk, { resume }: { readonly resume?: Uint8Array }): SinkFile | StreamFile {
    const subject = demand(ask);
    const { signal } = this.#stop;
    const path = this.#at(subject.path);
    this.#holds(path);
    const options = { ...this.#common(subject), size: subject.size, ...(resume && { resume }), signal };
    const opened = this.#tuner.run(0, async () => {
      if (!resume) await this.#removeBegun(path);
      const sink = await this.#recorded(await this.#chunks.create(path, options), subject);
      if (!resume) this.#tellAnew();
      return sink;
    });
    const shared = { tuner: this.#tuner, buffers: this.#buffers, held: this.#held, signal };
    const file = Number.isFinite(subject.size)
      ? new SinkFile(opened, { ...shared, path, size: subject.size, begunAt: ask.offset })
      : new StreamFile(opened, { ...shared, path });
    this.#files.set(ask.id, file);
    return file;
  }

  /** Some endpoints tell only when something is begun that they go on with nothing. */
  #tellAnew(): void {
    const { begunMs, backend, onBegunAnew } = this.#options;
    const { resumeWrite } = backend.capabilities;
    if (begunMs !== undefined && resumeWrite !== true) onBegunAnew?.(resumeWrite);
  }

  /** Of a file that nothing is recorded of: an earlier run may have been killed before it could. What can't be removed hinders nobody. */
  async #removeBegun(path: string): Promise<void> {
    const { begunMs } = this.#options;
    if (begunMs === undefined) return;
    const options = { sinceMs: begunMs, untilMs: this.#startedMs, signal: this.#stop.signal };
    await this.#chunks.removeBegun?.(path, options).catch(() => undefined);
  }

  /** What could not be recorded is not begun. */
  async #recorded(sink: ChunkSink, { path, size }: PumpSubject): Promise<ChunkSink> {
    const { onLeaves } = this.#options;
    if (Number.isFinite(size) || !sink.leaves) return sink;
    try {
      await onLeaves?.(path, sink.leaves);
      return sink;
    } catch (cause) {
      await sink.discard(AbortSignal.timeout(DISCARD_MS)).catch(() => undefined);
      throw cause;
    }
  }

  async #leave({ id }: PumpAsk): Promise<void> {
    const file = this.#files.get(id);
    this.#files.delete(id);
    await file?.leave();
  }

  /** What is there no more needs no removal, and what can't be removed is in nobody's way. */
  async #forget(ask: PumpAsk, calls: PumpCalls): Promise<void> {
    const subject = demand(ask);
    const state = memoryOf(ask, calls);
    calls.done(ask.number);
    const target = { path: this.#at(subject.path), size: subject.size, state };
    this.#later(removePart(this.#chunks, target, AbortSignal.timeout(DISCARD_MS)));
  }

  /** What the pump waits for at its end. */
  #later(work: Promise<unknown>): void {
    const settled: Promise<unknown> = work
      .catch(() => undefined)
      .finally(() => {
        this.#clearing.delete(settled);
      });
    this.#clearing.add(settled);
  }

  #common(subject: PumpSubject) {
    const { sync, nameTag } = this.#options;
    return { meta: this.#meta(subject), sync, ...(nameTag !== undefined && { nameTag }) };
  }

  #meta({ mtimeNs, mode }: PumpSubject) {
    return { mtimeNs, ...(this.#options.perms ? { mode } : {}) };
  }

  #fileOf({ id }: PumpAsk): SinkFile | StreamFile {
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

  /** The deepest first: setting a folder's times changes none above it, but a permission may. Those of one depth at once. */
  async #end(): Promise<void> {
    const { signal } = this.#stop;
    const empty = [...this.#empty].map((path) => this.#tuner.run(0, () => this.#keepEmpty(path)));
    await Promise.all(empty);
    for (const level of byDepth(this.#folders.splice(0))) {
      const set = level.map((subject) => {
        const options = { meta: this.#meta(subject), signal };
        return this.#tuner.run(0, async () => this.#chunks.setFolder?.(this.#at(subject.path), options));
      });
      await Promise.all(set);
    }
  }

  /** What is not whole by now, and was not left, goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const open = [...this.#files.values()];
    this.#files.clear();
    await Promise.allSettled([...open.map((file) => file.discard()), ...this.#clearing]);
  }
}

/** The deepest come first. */
function byDepth(subjects: readonly PumpSubject[]): PumpSubject[][] {
  const levels = new Map<number, PumpSubject[]>();
  for (const subject of subjects) {
    const depth = subject.path === "" ? 0 : subject.path.split("/").length;
    const level = levels.get(depth) ?? [];
    level.push(subject);
    levels.set(depth, level);
  }
  return [...levels].sort(([one], [other]) => other - one).map(([, level]) => level);
}

function memoryOf({ number, length }: PumpAsk, calls: PumpCalls): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(length);
  if (!calls.take(number, bytes)) throw new PbError("aborted", "the job is over");
  return bytes;
}

function demand({ subject }: PumpAsk): PumpSubject {
  if (subject) return subject;
  throw new PbError("internal", "a call about nothing");
}
