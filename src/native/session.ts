/** Sessions, jobs and the port they come in by: native/pb-node/src/session, as promises and `PbError`s. */

import { lookup } from "node:dns/promises";
import { PbError } from "../model/error.ts";
import { pathBytes } from "../model/path.ts";
import { type Addon, addon } from "./addon.ts";
import { checkpointBatch, nativeCheckpoint, nativePart } from "./checkpoint.ts";
import { fromNative, nativeFailure } from "./errors.ts";
import { Job } from "./job.ts";
import { packEntries } from "./pack.ts";
import { nativePump, type Pump } from "./pump.ts";
import { rootHandle } from "./root.ts";
import type {
  Accepts,
  ConnectOptions,
  Copied,
  Hasher,
  LaneSample,
  ListenOptions,
  NativeEngine,
  NativeListener,
  NativeSession,
  PumpedReceiveOptions,
  ReceiveJob,
  ReceiveJobOptions,
  RegisterOptions,
  RemovePartsOptions,
  SendEntry,
  SendJob,
  SendJobOptions,
  SessionOptions,
  SessionTrace,
  SessionTraceEvent,
} from "./types.ts";

/** The engine of this process. Loads the addon at the first call. */
export const engine: NativeEngine = { listen, connect, pair, removeParts, hasher };

function hasher(): Hasher {
  const handle = new (addon().NativeHasher)();
  return { update: (bytes) => handle.update(bytes), root: () => handle.root() };
}

async function listen(options: ListenOptions): Promise<NativeListener> {
  const address = await resolve(options.host, options.port);
  return mapped(() => new Listener(addon().listenSessions(address, options.onStream)));
}

async function connect(options: ConnectOptions, signal: AbortSignal): Promise<NativeSession> {
  signal.throwIfAborted();
  const address = await resolve(options.host, options.port);
  const { keys } = options;
  const native = { ...nativeOptions(options), transport: options.transport, suite: keys.suite };
  try {
    const handle = await addon().connectSession(
      address,
      keys.connectionId,
      keys.clientRandom,
      keys.serverRandom,
      native,
    );
    const session = new Session(handle);
    if (signal.aborted) await session.close();
    signal.throwIfAborted();
    return session;
  } catch (error) {
    throw fromNative(error);
  }
}

function pair(options: { readonly memoryBytes: number; readonly limitBytesPerSecond: number }) {
  const native = { ...nativeOptions({ ...options, seal: false, lanes: 1, controller: "" }) };
  const [a, b] = mapped(() => addon().pairSessions(native));
  if (a === undefined || b === undefined)
    throw new PbError("internal", "the engine gave no pair of sessions");
  return [new Session(a), new Session(b)] as const;
}

async function removeParts({ root, base, exactName, parts }: RemovePartsOptions): Promise<number> {
  const below = pathBytes(base.replace(/^\/+/, ""));
  try {
    return await addon().removeParts(rootHandle(root), below, exactName, parts.map(nativePart));
  } catch (error) {
    throw fromNative(error);
  }
}

function nativeOptions(options: SessionOptions) {
  const { seal, lanes, memoryBytes, limitBytesPerSecond, controller, remembered } = options;
  const { allLanes = false, trace = false } = options;
  const known = { seal, lanes, allLanes, memoryBytes, limitBytesPerSecond, controller, trace };
  return { ...known, transport: "auto", suite: 1, ...(remembered && { remembered }) };
}

function mapped<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw fromNative(error);
  }
}

/** IP:PORT of a host name or address. */
async function resolve(host: string, port: number): Promise<string> {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  let address: string;
  try {
    ({ address } = await lookup(bare));
  } catch (error) {
    throw new PbError("unreachable", `the name ${bare} can't be resolved`, { peer: bare, cause: error });
  }
  // Node's isIPv6 takes 5 ms to compile its pattern; of addresses only those have colons.
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

class Listener implements NativeListener {
  readonly #handle: Addon.NativeListener;

  constructor(handle: Addon.NativeListener) {
    this.#handle = handle;
  }

  get host(): string {
    return this.#handle.host;
  }

  get port(): number {
    return this.#handle.port;
  }

  register(options: RegisterOptions): NativeSession {
    const { connectionId, clientRandom, serverRandom, suite } = options.keys;
    const native = { ...nativeOptions(options), suite };
    return new Session(mapped(() => this.#handle.register(connectionId, clientRandom, serverRandom, native)));
  }

  async close(): Promise<void> {
    this.#handle.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class Session implements NativeSession {
  readonly closed: Promise<PbError | undefined>;
  readonly #handle: Addon.NativeSession;

  constructor(handle: Addon.NativeSession) {
    this.#handle = handle;
    this.closed = new Promise((resolve) => handle.onClose((why) => resolve(reason(why))));
  }

  get transport(): NativeSession["transport"] {
    return (this.#handle.transport ?? undefined) as NativeSession["transport"];
  }

  get note(): string | undefined {
    return this.#handle.note ?? undefined;
  }

  send(options: SendJobOptions): SendJob {
    const { job, chunkBytes, parallelFiles, follow, removeSources, manifestFile } = options;
    const native = { job, chunkBytes, parallelFiles, follow, removeSources, ...manifest(manifestFile) };
    const roots = options.roots.map(rootHandle);
    const common = new Job(options.onProgress);
    const handle = mapped(() => this.#handle.send(native, roots, common.listener));
    return {
      push: (entries: readonly SendEntry[]) => common.push(() => handle.push(packEntries(entries))),
      finish: () => handle.finish(),
      abort: (why: string) => handle.abort(why),
      done: common.done,
    };
  }

  sendPumped(options: SendJobOptions, pump: Pump): SendJob {
    const { job, chunkBytes, parallelFiles, follow, removeSources, manifestFile } = options;
    const native = { job, chunkBytes, parallelFiles, follow, removeSources, ...manifest(manifestFile) };
    const common = new Job(options.onProgress);
    const calls = () => answering ?? missing();
    const hears = nativePump(pump, calls);
    const handle = mapped(() => this.#handle.sendPumped(native, common.listener, hears));
    const answering = handle.pump();
    return {
      push: (entries: readonly SendEntry[]) => common.push(() => handle.push(packEntries(entries))),
      finish: () => handle.finish(),
      abort: (why: string) => handle.abort(why),
      done: common.done,
    };
  }

  receivePumped(options: PumpedReceiveOptions, pump: Pump): Omit<ReceiveJob, "accepts"> {
    const { job, exactName, push, manifestFile, checkpoint } = options;
    const common = new Job(options.onProgress, checkpoint?.onEnding);
    const hears = nativePump(pump, () => answering);
    const kept = checkpoint === undefined ? {} : { checkpoint: nativeCheckpoint(checkpoint) };
    const native = { job, exactName, push, ...manifest(manifestFile), ...kept };
    const onBatch = (batch: Addon.NativeBatch) => checkpoint?.onBatch(checkpointBatch(batch));
    const handle = mapped(() => this.#handle.receivePumped(native, common.listener, hears, onBatch));
    const answering = handle.pump();
    return {
      abort: (why: string, { keep } = { keep: false }) => handle.abort(why, keep),
      failFor: ({ code, message }: PbError) => handle.failFor(code, message),
      confirm: (batch: number) => handle.confirm(batch),
      done: common.done,
    };
  }

  receive(options: ReceiveJobOptions): ReceiveJob {
    const { job, exactName, overwrite, fsync, perms, owner, manifestFile, destinationFd } = options;
    const fd = destinationFd === undefined ? {} : { destinationFd };
    const base = pathBytes(options.base.replace(/^\/+/, ""));
    const { checkpoint } = options;
    const kept = checkpoint === undefined ? {} : { checkpoint: nativeCheckpoint(checkpoint) };
    const { discard = false, reread = false } = options;
    const native = { job, base, exactName, overwrite, fsync, perms, owner, discard, reread, ...fd, ...kept };
    const common = new Job(options.onProgress, checkpoint?.onEnding);
    const onBatch = (batch: Addon.NativeBatch) => checkpoint?.onBatch(checkpointBatch(batch));
    const handle = mapped(() =>
      this.#handle.receive(
        { ...native, ...manifest(manifestFile) },
        rootHandle(options.root),
        common.listener,
        onBatch,
      ),
    );
    return {
      accepts: handle.accepts,
      abort: (why: string, { keep } = { keep: false }) => handle.abort(why, keep),
      failFor: ({ code, message }: PbError) => handle.failFor(code, message),
      confirm: (batch: number) => handle.confirm(batch),
      done: common.done,
    };
  }

  accepted(job: number, { push, dense }: Accepts): void {
    this.#handle.accepted(job, { push, dense });
  }

  samples(): LaneSample[] {
    return this.#handle.samples() as LaneSample[];
  }

  takeCopied(): Copied[] {
    return this.#handle.takeCopied();
  }

  takeTrace(): SessionTrace {
    const { events, dropped } = this.#handle.takeTrace();
    return { events: events.map(traceEvent), dropped };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  abandon(): void {
    this.#handle.abandon();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function traceEvent({ atNs, lane, up, sample, down }: Addon.NativeTraceEvent): SessionTraceEvent {
  if (sample) return { atNs, lane, what: { kind: "sample", sample: sample as LaneSample } };
  if (up) return { atNs, lane, what: { kind: "up", transport: up } };
  return { atNs, lane, what: { kind: "down", reason: down ?? "" } };
}

function missing(): never {
  throw new PbError("internal", "a job without a pump");
}

function manifest(file: string | undefined): { manifestFile?: string } {
  return file === undefined || file === "" ? {} : { manifestFile: file };
}

function reason(why: Addon.NativeClosed): PbError | undefined {
  if (why.code === undefined || why.code === null) return undefined;
  return nativeFailure({ code: why.code, message: why.message ?? "" });
}
