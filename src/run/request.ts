import type { Backend } from "../backend/backend.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { Entry, EntryKind } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { dirName, joinPath } from "../model/path.ts";
import type { TransferOptions } from "../model/transfer.ts";
import type { NativeRoot } from "../native/root.ts";
import type { NativeEngine } from "../native/types.ts";
import { isBelow } from "../plan/order.ts";
import type { Targets } from "../plan/targets.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import type { Target } from "./target.ts";

/** A place that a transfer reads from or writes to. */
export interface Endpoint {
  readonly backend: Backend;
  /** `PathText` at the backend. */
  readonly path: string;
  /** What it is called where that is not the last part of `path`: a root of its own. */
  readonly name?: string;
  /** As the user wrote it; for errors and the receipt. */
  readonly label: string;
  /** A descriptor of this process instead of the path: standard input or output. The backend is then this machine's. */
  readonly fd?: number;
}

export interface TransferRequest {
  readonly jobId: string;
  readonly sources: readonly Endpoint[];
  readonly destination: Endpoint;
  readonly options: TransferOptions;
  /** Each source arrives under its own name, also when it is one. */
  readonly several: boolean;
  readonly move: boolean;
  readonly dryRun: boolean;
  readonly manifestFile?: string;
  /** Where to write the trace (docs/TRACE.md). */
  readonly traceFile?: string;
  readonly label?: string;
  /** Default: a lost connection ends it. */
  readonly retry?: RetryPolicy;
  /** The receiver keeps what arrived, under `jobId`, for a later run. */
  readonly resumable?: boolean;
  /** This is such a later run. */
  readonly resume?: boolean;
  /** As the first run found it, where this is a later one. */
  readonly intoExisting?: boolean;
}

/** A folder of this machine that survives its process. */
export interface Spool {
  /** `PathText`. Whoever is done with it removes it. */
  readonly folder: string;
  /** Of what came from a source, by its number. Of what was written since this machine was started. */
  readonly openCheckpoint: (source: number) => Promise<Checkpoint>;
}

export interface RunTools {
  readonly engine: NativeEngine;
  /** See SessionPeer.hostId. */
  readonly hostId: string;
  /** This machine, for copies from server to server that are kept here on their way. */
  readonly local: () => Promise<Backend>;
  /** Folder of this machine for that. */
  readonly spoolParent: string;
  /** The one of this job, for later runs too. Absent: each attempt has its own. */
  readonly openSpool?: () => Promise<Spool>;
  /**
   * Opens what is kept of this job where this process receives, bound to where it writes; each attempt opens and closes it. Absent:
   * nothing is kept.
   */
  readonly openCheckpoint?: (target: Target) => Promise<Checkpoint>;
  /** Told once, before anything is transferred. */
  readonly onResolved?: (request: ResolvedRequest) => Promise<void>;
}

/** A source with what it is and where its content goes. */
export interface Seen {
  readonly entry: Entry;
  /** `performance.now`. */
  readonly atMs: number;
}

export interface ResolvedSource {
  readonly endpoint: Endpoint;
  readonly kind: EntryKind;
  /** What it was when the run looked at it, unless it is a folder. */
  readonly seen?: Seen;
  /** Put before each path, relative to the target base; "": none. */
  readonly prefix: string;
}

/** A request whose ends were looked at. */
export interface ResolvedRequest extends TransferRequest {
  readonly resolved: readonly ResolvedSource[];
  readonly targets: Targets;
  /** Was the destination a folder already? Its own mode and times then stay. */
  readonly intoExisting: boolean;
}

/**
 * What was discarded is nowhere: its source must stay.
 *
 * @throws PbError `invalid_argument`
 */
export function refuseDiscardingMove({ move, options }: Pick<TransferRequest, "move" | "options">): void {
  if (!move || !options.discard) return;
  throw new PbError("invalid_argument", "a move can't discard what it moves", {
    hint: "transfer with --discard, or move without it",
  });
}

/** The roots of sources in this process, each once, and which of them a source is below. */
export function nativeRoots(sources: readonly ResolvedSource[]): {
  readonly roots: readonly NativeRoot[];
  readonly indexOf: (source: ResolvedSource) => number;
} {
  const roots = [...new Set(sources.map(({ endpoint }) => rootOf(endpoint)))];
  return { roots, indexOf: ({ endpoint }) => roots.indexOf(rootOf(endpoint)) };
}

/** @throws PbError `unsupported` when the endpoint's bytes are not reached through descriptors of this process */
export function rootOf(endpoint: Endpoint): NativeRoot {
  const { native } = endpoint.backend;
  if (native.kind === "root") return native.root;
  throw new PbError("unsupported", `${endpoint.label} is not on this machine`, {
    peer: endpoint.backend.name,
  });
}

/** Is a source folder itself an entry? Not when its contents go into a folder that is there and keeps its mode and times. */
export function sendsTop(
  { intoExisting }: Pick<ResolvedRequest, "intoExisting">,
  source: ResolvedSource,
): boolean {
  return source.prefix !== "" || !intoExisting;
}

/** Paths of this machine start at "/", which is their root. */
export function belowRoot(path: string): string {
  return path.replace(/^\/+/, "");
}

/** A path below a source's root, as the user knows it. */
export function sourcePath({ resolved }: Pick<ResolvedRequest, "resolved">, path: string): string {
  for (const { endpoint } of resolved) {
    const top = belowRoot(endpoint.path);
    if (path === top) return endpoint.label;
    if (isBelow(path, top)) return joinPath(endpoint.label, top === "" ? path : path.slice(top.length));
  }
  return path;
}

/** A path below the target base, as the user knows it. */
export function targetPath({ targets }: Pick<ResolvedRequest, "targets">, path: string): string {
  return joinPath(targets.exactName ? dirName(targets.base) : targets.base, path);
}
