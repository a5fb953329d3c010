import type { Entry } from "../model/entry.ts";
import { PbError } from "../model/error.ts";
import { displayPath, joinPath } from "../model/path.ts";
import type { SendEntry, SendJob } from "../native/types.ts";
import { compileFilter, type Filter } from "../plan/filter.ts";
import { isBelow } from "../plan/order.ts";
import { throwIfAborted } from "./abort.ts";
import { WHOLE_MAX } from "./pump/source.ts";
import { versionNumber } from "./pump/version.ts";
import type { Found } from "./report.ts";
import { belowRoot, type ResolvedRequest, type ResolvedSource, sendsTop } from "./request.ts";
import type { FolderGuard } from "./same-file.ts";
import { type WalkOptions, walkSource } from "./walk.ts";

/** What the native engine takes in one call. */
const MAX_PUSH = 4_096;

export interface FeedReport {
  readonly found: (found: Found) => void;
  readonly error: (error: PbError) => void;
  readonly notice: (code: string, message: string) => void;
}

export interface FeedOptions {
  readonly request: Pick<ResolvedRequest, "options" | "resolved" | "intoExisting" | "move">;
  readonly job: Pick<SendJob, "push">;
  readonly rootIndex: (source: ResolvedSource) => number;
  readonly report: FeedReport;
  /** The receiver is asked about no file before it is read: what is listed decides nothing. Default: false. */
  readonly unasked?: boolean | undefined;
  /** Absent where the ends cannot be one. */
  readonly guard?: FolderGuard | undefined;
  readonly signal: AbortSignal;
}

/** What a move needs to know of what it pushed: folders, to be removed when they are empty. Of a copy none. */
export interface Fed {
  readonly folders: readonly { readonly source: ResolvedSource; readonly path: string }[];
}

/** Lists, filters and pushes all sources; the job's own pace holds the listing back. Does not finish the job. */
export async function feed(options: FeedOptions): Promise<Fed> {
  const { request, signal } = options;
  const filter = compileFilter(request.options, BigInt(Date.now()) * 1_000_000n);
  const state: FeedState = { files: 0, bytes: 0, others: 0, firstOther: "", folders: [] };
  for (const source of request.resolved) {
    throwIfAborted(signal);
    await feedSource(options, { source, filter, state });
  }
  if (state.others > 0) {
    const message = `${state.others} that are neither file, folder nor link were left out; the first: ${state.firstOther}`;
    options.report.notice("skipped-kind", message);
  }
  options.report.found({ files: state.files, bytes: state.bytes, done: true });
  return { folders: state.folders };
}

interface FeedState {
  files: number;
  bytes: number;
  others: number;
  firstOther: string;
  readonly folders: { readonly source: ResolvedSource; readonly path: string }[];
}

interface Feeding {
  /** The folder that is left out, with all below it. */
  blocked?: string;
  readonly source: ResolvedSource;
  readonly filter: Filter;
  readonly state: FeedState;
}

async function feedSource(options: FeedOptions, feeding: Feeding): Promise<void> {
  const { request, signal, report } = options;
  const { source, filter } = feeding;
  const { backend, path } = source.endpoint;
  const { follow, filesFrom } = request.options;
  const withTop = sendsTop(request, source);
  const walk = {
    ...listedTimes(options),
    backend,
    path,
    filter,
    filesFrom,
    follow,
    withTop,
    seen: source.seen,
    signal,
    onError: report.error.bind(report),
  };
  for await (const batch of walkSource(walk, source.kind)) {
    throwIfAborted(signal);
    await pushBatch(options, feeding, batch);
  }
}

/** Of a small file the time comes with its content, unless somebody compares it before. */
function listedTimes({ request, unasked = false }: FeedOptions): Pick<WalkOptions, "listedTimesUpTo"> {
  const { minAgeSeconds, maxAgeSeconds } = request.options;
  const isCompared = request.move || minAgeSeconds !== undefined || maxAgeSeconds !== undefined;
  return unasked && !isCompared ? { listedTimesUpTo: WHOLE_MAX } : {};
}

async function pushBatch(options: FeedOptions, feeding: Feeding, batch: readonly Entry[]): Promise<void> {
  const allowed = await guarded(options, feeding, batch);
  const entries = allowed
    .filter((entry) => isTransferred(feeding, entry))
    .map((entry) => count(feeding, entry));
  if (options.request.move) noteFolders(feeding, entries);
  const root = options.rootIndex(feeding.source);
  for (let at = 0; at < entries.length; at += MAX_PUSH) {
    const slice = entries.slice(at, at + MAX_PUSH);
    await options.job.push(slice.map((entry) => sendEntry(feeding.source, { entry, root })));
  }
  const { files, bytes } = feeding.state;
  options.report.found({ files, bytes, done: false });
}

async function guarded(
  options: FeedOptions,
  feeding: Feeding,
  batch: readonly Entry[],
): Promise<readonly Entry[]> {
  const { guard, report } = options;
  if (!guard) return batch;
  const allowed: Entry[] = [];
  for (const entry of batch) {
    if (feeding.blocked !== undefined && isBelow(entry.path, feeding.blocked)) continue;
    if (entry.kind !== "directory" || (await guard.allows(feeding.source, entry))) {
      allowed.push(entry);
    } else {
      feeding.blocked = entry.path;
      const path = joinPath(feeding.source.endpoint.path, entry.path);
      report.error(
        new PbError("same_file", `${displayPath(path)} is, through a link or mount, its own target`, {
          path,
        }),
      );
    }
  }
  return allowed;
}

function isTransferred({ source, state }: Feeding, entry: Entry): boolean {
  if (entry.kind !== "other") return true;
  if (state.others === 0) state.firstOther = displayPath(joinPath(source.endpoint.path, entry.path));
  state.others += 1;
  return false;
}

function noteFolders({ source, state }: Feeding, entries: readonly Entry[]): void {
  for (const { kind, path } of entries) if (kind === "directory") state.folders.push({ source, path });
}

function count({ state }: Feeding, entry: Entry): Entry {
  if (entry.kind === "file") {
    state.files += 1;
    state.bytes += entry.size;
  }
  return entry;
}

function sendEntry(source: ResolvedSource, { entry, root }: { entry: Entry; root: number }): SendEntry {
  return {
    root,
    source: belowRoot(joinPath(source.endpoint.path, entry.path)),
    target: joinPath(source.prefix, entry.path),
    kind: entry.kind,
    size: entry.size,
    mtimeNs: knownTime(entry),
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    ...identityOf(source, entry),
    ...(entry.linkTarget === undefined ? {} : { linkTarget: entry.linkTarget }),
  };
}

/** Of a folder whose endpoint tells no time that of the copy: nobody means 1970. Of a file it stays, as a later run compares it. */
function knownTime({ kind, mtimeNs }: Entry): bigint {
  return kind === "directory" && mtimeNs === 0n ? BigInt(Date.now()) * 1_000_000n : mtimeNs;
}

/** What else than size and mtime tells that it is the same: at an endpoint the version that it names. */
function identityOf(
  { endpoint }: ResolvedSource,
  { inode, version }: Entry,
): Pick<SendEntry, "inode" | "version"> {
  if (endpoint.backend.native.kind === "chunks")
    return { inode: versionNumber(version), ...(version === undefined ? {} : { version }) };
  return inode === undefined ? {} : { inode };
}

/** A pipe has no metadata worth keeping: a new file's mode, now. */
const PIPE_MODE = 0o644;

/** Standard input as the one entry of a job. */
export function pipeEntry(fd: number, target: string): SendEntry {
  return {
    root: 0,
    source: "",
    target,
    kind: "file",
    size: 0,
    mtimeNs: BigInt(Date.now()) * 1_000_000n,
    mode: PIPE_MODE,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    sourceFd: fd,
  };
}
