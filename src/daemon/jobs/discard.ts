import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Backend } from "../../backend/backend.ts";
import type { PartRecord, RecoveredCheckpoint } from "../../model/checkpoint.ts";
import { PbError } from "../../model/error.ts";
import { formatLocation } from "../../model/location.ts";
import { joinPath } from "../../model/path.ts";
import { removePart } from "../../run/pump/remove-part.ts";
import { rootOf } from "../../run/request.ts";
import { removeStrays, tryRemoveStrays } from "../../run/strays.ts";
import { keptIn } from "../kept/checkpoint.ts";
import type { JobDeps } from "./deps.ts";
import { removeSpool } from "./spool.ts";
import type { StoredJob } from "./store.ts";

type Deps = Pick<JobDeps, "backends" | "engine" | "store" | "checkpoints" | "spoolParent">;

/**
 * Removes what an unfinished job has left: its checkpoint, what was on its way here, and its parts at the destination, here or at a server.
 *
 * @throws PbError when the server can't be asked, or a part can't be removed: nothing of the record is gone then
 */
export async function discardKept(deps: Deps, job: StoredJob, signal: AbortSignal): Promise<void> {
  const { record, state } = job;
  const remote = record.request.destination?.remote ?? "";
  if (mayLeave(record) && state.begun && remote !== "") await discardFar(deps, { job, remote, signal });
  if (mayLeave(record) && state.begun && remote === "") {
    const parts = await partsOf(deps, record.id);
    const backend = await deps.backends.open("", signal);
    const { path: base, exactName } = state.begun.target;
    const root = rootOf({ backend, path: base, label: record.destination });
    if (parts.length > 0) await deps.engine.removeParts({ root, base, exactName, parts });
    const strays = { backend, target: state.begun.target, jobId: record.id, signal };
    if (!givesUpStream(job)) await tryRemoveStrays(strays);
  }
  await removeSpool(deps, record.id);
  await rm(checkpointFolder(deps, record.id), { recursive: true, force: true });
}

/**
 * May there be anything at the destination before it is whole? Of a stream too, which no later run goes on with: its temporary names are its job's,
 * and what has none is in its checkpoint.
 */
export function mayLeave({
  resumable,
  request,
}: Pick<StoredJob["record"], "resumable" | "request">): boolean {
  return resumable || isStream(request);
}

/** Does standard input go to a place that keeps it? */
export function isStream({ sourceFd, destinationFd, options }: StoredJob["record"]["request"]): boolean {
  return sourceFd !== undefined && destinationFd === undefined && options?.discard !== true;
}

/** A process that gives up its own stream has removed what it had there, but for what it could not reach. */
function givesUpStream({ record, status }: StoredJob): boolean {
  return isStream(record.request) && status === "running";
}

/** Was a run killed where it received, or stopped at a remote? */
export function mayHaveStrays({ status, state }: StoredJob): boolean {
  return status === "interrupted" || state.strays === true;
}

export function checkpointFolder({ store }: Pick<Deps, "store">, id: string): string {
  return join(store.at(id), "checkpoint");
}

/** Is there anything of it at an endpoint, which does not forget by itself? */
export async function hasPartsFar(deps: Deps, { record, state }: StoredJob): Promise<boolean> {
  const remote = record.request.destination?.remote ?? "";
  if (!mayLeave(record) || state.begun === undefined || remote === "") return false;
  const kept = await keptOf(deps, record.id);
  // What a stream leaves under a name of its own is recorded nowhere.
  return kept !== undefined && (kept.parts.length > 0 || isStream(record.request));
}

function keptOf(deps: Deps, id: string): Promise<RecoveredCheckpoint | undefined> {
  return keptIn(deps.checkpoints, checkpointFolder(deps, id));
}

async function partsOf(deps: Deps, id: string): Promise<readonly PartRecord[]> {
  return (await keptOf(deps, id))?.parts ?? [];
}

/** At an endpoint without an engine, from here. */
async function discardAt(
  deps: Deps,
  { job, backend, signal }: { job: StoredJob; backend: Backend; signal: AbortSignal },
): Promise<void> {
  const { record, state } = job;
  const { native } = backend;
  if (native.kind !== "chunks" || state.begun === undefined) return;
  const { target } = state.begun;
  const { parts = [], begunMs } = (await keptOf(deps, record.id)) ?? {};
  for (const { target: below, size, temporary } of parts) {
    const path = joinPath(target.path, below);
    await removePart(native.chunks, { path, size: size < 0 ? Infinity : size, state: temporary }, signal);
  }
  const mayHaveNames = isStream(record.request) ? !givesUpStream(job) : mayHaveStrays(job);
  if (!mayHaveNames) return;
  await removeStrays({ backend, target, jobId: record.id, signal });
  if (target.exactName && begunMs !== undefined)
    await native.chunks.removeBegun?.(target.path, { sinceMs: begunMs, signal });
}

async function discardFar(
  deps: Deps,
  { job, remote, signal }: { job: StoredJob; remote: string; signal: AbortSignal },
): Promise<void> {
  const { record } = job;
  let backend: Backend | undefined;
  try {
    backend = await deps.backends.open(remote, signal);
    const { native } = backend;
    if (native.kind === "session") await native.peer.cancelJob(record.id, signal);
    else await discardAt(deps, { job, backend, signal });
  } catch (cause) {
    const error = PbError.from(cause);
    // The server has let it go already, or has never been told of it.
    if (error.code === "not_found") return;
    const what = `what ${remote} keeps of job ${record.id} can't be removed: ${error.message}`;
    const hint = await hintOf(deps, { job, remote, backend });
    throw new PbError(error.code, what, { peer: remote, retryable: error.retryable, hint, cause: error });
  }
}

/** Of more a message is no help. */
const MAX_NAMED = 3;

/** What to do: an engine's server removes what it keeps by itself after a while, and nobody does so at an endpoint. */
async function hintOf(
  deps: Deps,
  { job, remote, backend }: { job: StoredJob; remote: string; backend: Backend | undefined },
): Promise<string> {
  const parts = await partsOf(deps, job.record.id);
  const far = backend === undefined ? parts.length === 0 : backend.native.kind === "session";
  if (far) return "try again when it can be reached; without that the server removes it after a while";
  const base = job.state.begun?.target.path ?? "";
  const files = parts.map(({ target }) =>
    formatLocation({ kind: "remote", remote, path: joinPath(base, target) }),
  );
  const more = files.length > MAX_NAMED ? ` and ${files.length - MAX_NAMED} more` : "";
  const named = files.slice(0, MAX_NAMED).join(", ");
  const left =
    files.length > 0 ? `the unfinished ${named}${more}` : `what begins with .pb- below ${remote}:${base}`;
  return `nobody else removes it: \`pb jobs forget ${job.record.id}\` when ${remote} can be reached again, or remove there ${left} (an upload of that name, or a .pb-….part beside it)`;
}
