/** JobService for the jobs of a PB_HOME. One that runs is asked itself, through its socket, whichever process runs it. */

import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient, type ServiceImpl } from "@connectrpc/connect";
import type { SessionPeer } from "../../backend/backend.ts";
import { type Job, JobService } from "../../gen/packetboat/v1/job_pb.ts";
import type { StartResponse } from "../../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../../model/error.ts";
import { fromConnectError } from "../../wire/connect.ts";
import { keptIn } from "../kept/checkpoint.ts";
import type { JobDeps } from "./deps.ts";
import { checkpointFolder, discardKept } from "./discard.ts";
import { forgetJob, openJob } from "./open.ts";
import { connectJob } from "./socket.ts";
import { running, type StoredJob } from "./store.ts";
import { damagedView, jobView, keptFields } from "./view.ts";

/** What a list waits for each running job. */
const LOOK_MS = 500;

/** A process of Node on a busy machine. */
const START_MS = 10_000;
const POLL_MS = 50;

export function createJobService(deps: JobDeps): ServiceImpl<typeof JobService> {
  const { store } = deps;
  return {
    async listJobs({ remote }, { signal }) {
      if (remote !== "") return { jobs: [...(await (await peerOf(deps, remote, signal)).listJobs(signal))] };
      const { jobs, damaged } = await store.list();
      const shown = await Promise.all(jobs.map((job) => seen(deps, job)));
      return { jobs: [...shown, ...damaged.map(({ id, error }) => damagedView(id, error))] };
    },

    async showJob({ id, remote }, { signal }) {
      if (remote !== "") {
        const { peer, job } = await far(deps, { id, remote, signal });
        return { job: await peer.showJob(job.id, signal) };
      }
      return { job: await details(deps, await store.find(id)) };
    },

    async createJob({ request }, { signal }) {
      if (!request) throw new PbError("invalid_argument", "there is no request to record");
      if (request.on !== "") {
        const peer = await peerOf(deps, request.on, signal);
        return peer.createJob({ ...request, on: "" }, signal);
      }
      const { job, resumed } = await openJob(deps, request, signal);
      if (job.status === "running") throw running(job.record.id);
      return { id: job.record.id, resumed };
    },

    async *watchJob({ id, remote }, { signal }): AsyncGenerator<StartResponse> {
      if (remote !== "") {
        const { peer, job } = await far(deps, { id, remote, signal });
        return yield* peer.watchJob(job.id, signal);
      }
      const job = await started(deps, id, signal);
      if (job.status !== "running") throw notRunning(job);
      yield* watched(deps, job, signal);
    },

    async pauseJob({ id, remote }, { signal }) {
      if (remote !== "") {
        const { peer, job } = await far(deps, { id, remote, signal });
        await peer.pauseJob(job.id, signal);
        return { job: await peer.showJob(job.id, signal) };
      }
      const job = await started(deps, id, signal);
      if (job.status !== "running") throw notRunning(job);
      if (!job.record.resumable) {
        throw new PbError("unsupported", `job ${job.record.id} moves a standard stream: it can't be paused`, {
          hint: `pb jobs cancel ${shortId(job)} stops it`,
        });
      }
      const mine = deps.live.get(job.record.id);
      if (mine) await mine.stop("pause");
      else await ask(deps, { job, signal }, (client) => client.pauseJob({ id: job.record.id }, { signal }));
      return { job: await details(deps, await store.read(job.record.id)) };
    },

    async cancelJob({ id, remote }, { signal }) {
      if (remote !== "") {
        const { peer, job } = await far(deps, { id, remote, signal });
        await peer.cancelJob(job.id, signal);
        return { job };
      }
      const job = await started(deps, id, signal);
      if (job.status === "done" || job.status === "cancelled") {
        throw new PbError("invalid_argument", `job ${job.record.id} is ${job.status}`);
      }
      if (job.status === "running") {
        const mine = deps.live.get(job.record.id);
        if (mine) await mine.stop("cancel");
        else
          await ask(deps, { job, signal }, (client) => client.cancelJob({ id: job.record.id }, { signal }));
      } else {
        await cancelStopped(deps, job, signal);
      }
      return { job: await details(deps, await store.read(job.record.id)) };
    },

    async forgetJob({ id, remote }, { signal }) {
      if (remote !== "") {
        const { peer, job } = await far(deps, { id, remote, signal });
        await peer.forgetJob(job.id, signal);
        return { job };
      }
      const { damaged } = await store.list();
      const broken = damaged.find((each) => each.id === id);
      if (broken) {
        await store.remove(broken.id);
        return { job: damagedView(broken.id, broken.error) };
      }
      const job = await store.find(id);
      if (job.status === "running") throw running(job.record.id);
      await forgetJob(deps, job, signal);
      return { job: jobView(job) };
    },
  };
}

/** A job that was left to a process of its own is looked at once that has begun, or has had the time to. */
async function started({ store }: JobDeps, id: string, signal: AbortSignal): Promise<StoredJob> {
  const until = performance.now() + START_MS;
  for (;;) {
    const job = await store.find(id);
    if (job.status !== "queued" || performance.now() > until) return job;
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Claimed first, so that nobody takes it up meanwhile. */
async function cancelStopped(deps: JobDeps, job: StoredJob, signal: AbortSignal): Promise<void> {
  const { store } = deps;
  const { run } = await store.claim(job);
  const { state } = job;
  const changedAt = new Date().toISOString();
  try {
    await discardKept(deps, job, signal);
    await store.setState(job.record.id, { ...state, state: "cancelled", run, changedAt });
  } catch (cause) {
    const before = job.status === "interrupted" || job.status === "queued" ? "paused" : state.state;
    await store.setState(job.record.id, { ...state, state: before, run, changedAt });
    throw cause;
  }
}

/** A job at a server, by its id or a beginning of it. */
async function far(
  deps: JobDeps,
  { id, remote, signal }: { readonly id: string; readonly remote: string; readonly signal: AbortSignal },
): Promise<{ readonly peer: SessionPeer; readonly job: Job }> {
  const peer = await peerOf(deps, remote, signal);
  return { peer, job: oneOf(await peer.listJobs(signal), id) };
}

async function peerOf({ backends }: JobDeps, remote: string, signal: AbortSignal): Promise<SessionPeer> {
  const { native } = await backends.open(remote, signal);
  if (native.kind === "session") return native.peer;
  throw new PbError("unsupported", `${remote} runs no jobs`, { peer: remote });
}

function oneOf(jobs: readonly Job[], id: string): Job {
  const begun = jobs.filter((job) => job.id.startsWith(id));
  const fitting = begun.length > 0 ? begun : jobs.filter((job) => job.label === id);
  const [found, ...others] = id === "" ? [] : fitting;
  if (found && others.length === 0) return found;
  if (!found) throw new PbError("not_found", `there is no job ${id}`);
  throw new PbError("invalid_argument", `${others.length + 1} jobs fit ${id}`, {
    hint: "give more of the id",
  });
}

/** For a list: what a running job says of itself, if it does so soon. */
async function seen(deps: JobDeps, job: StoredJob): Promise<Job> {
  if (job.status !== "running") return jobView(job);
  const signal = AbortSignal.timeout(LOOK_MS);
  return (await askToShow(deps, job, signal)) ?? jobView(job);
}

/** With what the receiver keeps: here, or at the server that the job writes to, if it answers soon. */
async function details(deps: JobDeps, job: StoredJob): Promise<Job> {
  const receipt = await deps.store.receipt(job.record.id);
  const signal = AbortSignal.timeout(LOOK_MS * 4);
  const live = job.status === "running" ? await askToShow(deps, job, signal) : undefined;
  const view = live ? { ...live, ...(receipt && { receipt }) } : jobView(job, { receipt });
  return { ...view, ...(await keptOf(deps, job, signal)) };
}

type Kept = Partial<Pick<Job, "checkpoint" | "keptFiles" | "keptBytes">>;

async function keptOf(deps: JobDeps, job: StoredJob, signal: AbortSignal): Promise<Kept> {
  const { record, state, status } = job;
  const over = status === "done" || status === "cancelled";
  if (!record.resumable || !state.begun || over) return {};
  const remote = record.request.destination?.remote ?? "";
  if (remote === "") {
    if (status === "running") return {};
    const kept = await keptIn(deps.checkpoints, checkpointFolder(deps, record.id));
    return kept ? keptFields(kept) : {};
  }
  try {
    const { checkpoint, keptFiles, keptBytes } = await (await peerOf(deps, remote, signal)).showJob(
      record.id,
      signal,
    );
    return { keptFiles, keptBytes, ...(checkpoint && { checkpoint }) };
  } catch {
    // It is not there now, or has nothing: the record says the rest.
    return {};
  }
}

async function askToShow(deps: JobDeps, job: StoredJob, signal: AbortSignal): Promise<Job | undefined> {
  const shown = ask(deps, { job, signal }, (client) => client.showJob({ id: job.record.id }, { signal }));
  return (await shown.catch(() => undefined))?.job;
}

async function ask<T>(
  { store }: JobDeps,
  { job, signal }: { readonly job: StoredJob; readonly signal: AbortSignal },
  question: (client: Client<typeof JobService>) => Promise<T>,
): Promise<T> {
  try {
    using connection = await connectJob(store.at(job.record.id), signal);
    return await question(createClient(JobService, connection.transport));
  } catch (cause) {
    throw fromConnectError(cause, { peer: `process ${job.pid ?? ""} of job ${shortId(job)}` });
  }
}

async function* watched(
  { store }: JobDeps,
  job: StoredJob,
  signal: AbortSignal,
): AsyncGenerator<StartResponse> {
  try {
    using connection = await connectJob(store.at(job.record.id), signal);
    yield* createClient(JobService, connection.transport).watchJob({ id: job.record.id }, { signal });
  } catch (cause) {
    throw fromConnectError(cause, { peer: `process ${job.pid ?? ""} of job ${shortId(job)}` });
  }
}

function notRunning(job: StoredJob): PbError {
  const { id } = job.record;
  const goesOn = job.record.resumable && job.status !== "done" && job.status !== "cancelled";
  return new PbError("invalid_argument", `job ${id} does not run: it is ${job.status}`, {
    ...(goesOn && { hint: `go on with: pb jobs resume ${shortId(job)}` }),
  });
}

function shortId({ record }: StoredJob): string {
  return record.id.slice(0, 8);
}
