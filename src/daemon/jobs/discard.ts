import { rm } from "node:fs/promises";
import { join } from "node:path";
import { PbError } from "../../model/error.ts";
import { rootOf } from "../../run/request.ts";
import { removeStrays } from "../../run/strays.ts";
import { keptIn } from "../kept/checkpoint.ts";
import type { JobDeps } from "./deps.ts";
import type { StoredJob } from "./store.ts";

type Deps = Pick<JobDeps, "backends" | "engine" | "store" | "checkpoints">;

/**
 * Removes what an unfinished job has left: its checkpoint, and its parts at the destination, here or at a server.
 *
 * @throws PbError when the server can't be asked, or a part can't be removed: nothing of the record is gone then
 */
export async function discardKept(deps: Deps, job: StoredJob, signal: AbortSignal): Promise<void> {
  const { record, state } = job;
  const remote = record.request.destination?.remote ?? "";
  if (record.resumable && state.begun && remote !== "") await discardFar(deps, { job, remote, signal });
  if (record.resumable && state.begun && remote === "") {
    const { parts } = (await keptIn(deps.checkpoints, checkpointFolder(deps, record.id))) ?? { parts: [] };
    const backend = await deps.backends.open("", signal);
    const { path: base, exactName } = state.begun.target;
    const root = rootOf({ backend, path: base, label: record.destination });
    if (parts.length > 0) await deps.engine.removeParts({ root, base, exactName, parts });
    await removeStrays({ backend, target: state.begun.target, jobId: record.id, signal });
  }
  await rm(checkpointFolder(deps, record.id), { recursive: true, force: true });
}

/** Was a run killed where it received? */
export function mayHaveStrays({ status, state }: StoredJob): boolean {
  return status === "interrupted" || state.strays === true;
}

export function checkpointFolder({ store }: Pick<Deps, "store">, id: string): string {
  return join(store.at(id), "checkpoint");
}

async function discardFar(
  { backends }: Deps,
  { job, remote, signal }: { job: StoredJob; remote: string; signal: AbortSignal },
): Promise<void> {
  const { record } = job;
  try {
    const { native } = await backends.open(remote, signal);
    if (native.kind === "session") await native.peer.cancelJob(record.id, signal);
  } catch (cause) {
    const error = PbError.from(cause);
    // The server has let it go already, or has never been told of it.
    if (error.code === "not_found") return;
    throw new PbError(
      error.code,
      `what ${remote} keeps of job ${record.id} can't be removed: ${error.message}`,
      {
        peer: remote,
        retryable: error.retryable,
        hint: "try again when it can be reached; without that the server removes it after a while",
        cause: error,
      },
    );
  }
}
