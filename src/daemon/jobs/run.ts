/** One run of a job: recorded before it begins, seen and told through its socket while it runs, recorded again when it ends. */

import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { JobService } from "../../gen/packetboat/v1/job_pb.ts";
import {
  JobStartedSchema,
  type Receipt,
  type StartRequest,
  type StartResponse,
  StartResponseSchema,
} from "../../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../../model/error.ts";
import { after } from "../../model/timer.ts";
import { DEFAULT_RETRIES, type RetryPolicy } from "../../run/retry-policy.ts";
import { tryRemoveStrays } from "../../run/strays.ts";
import type { Target } from "../../run/target.ts";
import { type RunTools, runTransfer, type TransferRequest } from "../../run/transfer.ts";
import { errorToWire } from "../../wire/error.ts";
import { optionsFromWire } from "../../wire/options.ts";
import { createCleanup } from "../cleanup.ts";
import { hostId } from "../host-id.ts";
import { bindingOf } from "../kept/checkpoint.ts";
import type { JobDeps } from "./deps.ts";
import { checkpointFolder, discardKept, mayHaveStrays } from "./discard.ts";
import { endpointsOf } from "./endpoints.ts";
import { DEFAULT_KEEP_MS, expireJobs } from "./history.ts";
import { LiveJob } from "./live.ts";
import { liveService } from "./live-service.ts";
import { forgetExpired, type OpenedJob, openJob } from "./open.ts";
import type { Begun, JobState, StateRecord } from "./record.ts";
import { serveJob } from "./socket.ts";
import { openSpool } from "./spool.ts";

/** Runs a transfer under a record, unless it writes nothing. The last event is the receipt. @throws PbError when it could not begin */
export async function* runJob(
  deps: JobDeps,
  request: StartRequest,
  signal: AbortSignal,
): AsyncGenerator<StartResponse> {
  if (request.dryRun) {
    const jobId = randomUUID();
    const transfer = await transferOf(deps, request, { jobId, signal });
    yield* deps.metrics.observe(jobId, runTransfer(transfer, toolsOf(deps), signal));
    return;
  }
  callAhead(deps, request, signal);
  const opened = await openJob(deps, request, signal);
  yield* deps.metrics.observe(opened.job.record.id, new JobRun(deps, opened, signal).events());
}

/** Servers are dialled while the record is written; whoever asks something of them hears of a failure. */
function callAhead({ backends }: JobDeps, request: StartRequest, signal: AbortSignal): void {
  for (const remote of remotesOf(request)) backends.open(remote, signal).catch(() => undefined);
}

function remotesOf({ sources, destination }: StartRequest): ReadonlySet<string> {
  const remotes = new Set([...sources, destination].map((location) => location?.remote ?? ""));
  remotes.delete("");
  return remotes;
}

class JobRun {
  readonly #deps: JobDeps;
  readonly #opened: OpenedJob;
  readonly #live: LiveJob;
  readonly #signal: AbortSignal;
  /** Which run of the job this is. */
  #run = 0;
  #begun: Begun | undefined;
  #strays: boolean;

  constructor(deps: JobDeps, opened: OpenedJob, signal: AbortSignal) {
    this.#deps = deps;
    this.#opened = opened;
    this.#begun = opened.job.state.begun;
    this.#strays = mayHaveStrays(opened.job);
    this.#live = new LiveJob(opened.job.record.id);
    this.#signal = AbortSignal.any([signal, this.#live.signal]);
  }

  async *events(): AsyncGenerator<StartResponse> {
    const { store, live, metrics } = this.#deps;
    const { job, request } = this.#opened;
    const { id } = job.record;
    await using cleanup = createCleanup();
    this.#run = (await store.claim(job)).run;
    await this.#record("running");
    live.set(id, this.#live);
    cleanup.defer(() => live.delete(id));
    cleanup.defer(metrics.watchCheckpoint(() => this.#live.checkpointStats));
    const socket = await this.#serve();
    if (socket) cleanup.use(socket);
    // Watchers hear the end before the socket goes.
    cleanup.defer(() => this.#live.end());
    cleanup.defer(this.#armDeadline(request));
    let ended = false;
    try {
      yield this.#started();
      yield* this.#told();
      for await (const event of this.#transfer()) {
        if (this.#isOwnStop(event)) continue;
        if (event.event.case === "receipt") {
          await this.#end(event.event.value);
          ended = true;
        }
        this.#live.publish(event);
        yield event;
      }
    } catch (cause) {
      ended = true;
      await this.#fail(PbError.from(cause));
      throw cause;
    } finally {
      // Whoever read the events has left: the transfer is stopped by then, with what it has kept.
      if (!ended) await this.#record(this.#stoppedState());
      await this.#expire(request);
    }
  }

  /** That a job which can go on was stopped is its state, and no error. */
  #isOwnStop({ event }: StartResponse): boolean {
    if (event.case !== "error" || event.value.code !== "aborted" || event.value.path.length > 0) return false;
    return this.#opened.job.record.resumable;
  }

  async *#transfer(): AsyncGenerator<StartResponse> {
    const { job, request } = this.#opened;
    const signal = this.#signal;
    const transfer = await transferOf(this.#deps, request, { jobId: job.record.id, signal });
    const { resumable, label } = job.record;
    const { intoExisting } = this.#begun ?? {};
    const asked = {
      ...transfer,
      label,
      resumable,
      resume: this.#begun !== undefined,
      retry: retryOf(request, job.status === "queued" && this.#opened.request.jobId !== ""),
      ...(intoExisting === undefined ? {} : { intoExisting }),
    };
    await using cleanup = createCleanup();
    for (const remote of remotesOf(request)) cleanup.defer(this.#watchCredential(remote));
    yield* runTransfer(asked, { ...toolsOf(this.#deps), ...this.#keeping() }, signal);
  }

  /** One error for the whole, not one for each file that is left. */
  #watchCredential(remote: string): () => void {
    const { backends } = this.#deps;
    return backends.watch(remote, {
      withdrawn: ({ code, message }) =>
        this.#live.fail(new PbError(code, message, { peer: remote, ...this.#goOn() })),
    });
  }

  #keeping(): Pick<RunTools, "openCheckpoint" | "openSpool" | "onResolved"> {
    const { id } = this.#live;
    const directory = checkpointFolder(this.#deps, id);
    const { checkpoints, keeps } = this.#deps;
    const openCheckpoint = async (target: Target) =>
      this.#live.keeps(await checkpoints.open({ directory, binding: bindingOf(id, target) }));
    return {
      ...(keeps && { openCheckpoint, openSpool: () => openSpool(this.#deps, id) }),
      onResolved: async ({ targets, intoExisting }) => {
        const target = { path: targets.base, exactName: targets.exactName };
        const { target: before } = this.#begun ?? {};
        this.#begun = { target, intoExisting };
        // The destination is another now than the checkpoint's.
        if (before && bindingOf(id, before).destination !== bindingOf(id, target).destination) {
          await discardKept(this.#deps, this.#opened.job, this.#signal);
        }
        await this.#record("running");
      },
    };
  }

  /** What became of jobs before it. */
  *#told(): Generator<StartResponse> {
    for (const value of this.#opened.notices) {
      const event = create(StartResponseSchema, { event: { case: "notice", value } });
      this.#live.publish(event);
      yield event;
    }
  }

  #started(): StartResponse {
    const { job, resumed } = this.#opened;
    const { id, resumable } = job.record;
    return create(StartResponseSchema, {
      event: { case: "job", value: create(JobStartedSchema, { id, resumed, resumable }) },
    });
  }

  /** Without a socket the job runs all the same: nobody can watch it then. */
  async #serve(): Promise<AsyncDisposable | undefined> {
    const { store } = this.#deps;
    try {
      return await serveJob(store.at(this.#live.id), (router) => {
        router.service(JobService, liveService(store, this.#live));
      });
    } catch {
      return undefined;
    }
  }

  #goOn(): { readonly hint?: string } {
    const { id, resumable } = this.#opened.job.record;
    return resumable ? { hint: `go on with: pb jobs resume ${id.slice(0, 8)}` } : {};
  }

  #armDeadline({ deadlineMs }: StartRequest): () => void {
    if (deadlineMs === 0n) return () => {};
    const ms = Number(deadlineMs);
    const seconds = Math.round(ms / 100) / 10;
    const error = new PbError("timeout", `not done within its deadline of ${seconds} s`, {
      retryable: false,
      ...this.#goOn(),
    });
    return after(ms, () => this.#live.fail(error));
  }

  async #end(receipt: Receipt): Promise<void> {
    const { store } = this.#deps;
    receipt.notices.unshift(...this.#opened.notices);
    const stopped = receipt.state === "aborted";
    const state = stopped ? this.#stoppedState() : (receipt.state as JobState);
    if (stopped && this.#opened.job.record.resumable) {
      receipt.state = state;
      receipt.errors = receipt.errors.filter(({ code }) => code !== "aborted");
    }
    if (state === "cancelled") await this.#discard();
    if (state === "done" || state === "partial") await this.#removeStrays();
    else this.#stopped();
    await store.setReceipt(this.#live.id, receipt);
    const [error] = receipt.errors;
    await this.#record(state, state === "failed" && error ? { error } : {});
  }

  async #fail(error: PbError): Promise<void> {
    const state = error.code === "aborted" ? this.#stoppedState() : "failed";
    if (state === "cancelled") await this.#discard();
    this.#stopped();
    await this.#record(state, error.code === "aborted" ? {} : { error: errorToWire(error) });
  }

  #stoppedState(): JobState {
    const { resumable } = this.#opened.job.record;
    return this.#live.intent === "cancel" || !resumable ? "cancelled" : "paused";
  }

  /** What was under way at an endpoint when the run stopped may have come to have a name there after all. */
  #stopped(): void {
    const remote = this.#opened.job.record.request.destination?.remote ?? "";
    if (remote !== "" && this.#begun) this.#strays = true;
  }

  /** Those of a destination at a server are the server's. */
  async #removeStrays(): Promise<void> {
    const { id, request } = this.#opened.job.record;
    const { remote } = request.destination ?? {};
    if (!this.#strays || !this.#begun || remote === undefined) return;
    const signal = this.#signal;
    const backend = await this.#deps.backends.open(remote, signal);
    if (backend.native.kind === "session") return;
    await tryRemoveStrays({ backend, target: this.#begun.target, jobId: id, signal });
    this.#strays = false;
  }

  /** What can't be removed now is told, and can be tried again with `pb jobs forget`. */
  async #discard(): Promise<void> {
    const job = await this.#deps.store.read(this.#live.id);
    await discardKept(this.#deps, job, AbortSignal.timeout(DISCARD_MS));
  }

  async #record(state: JobState, more: Pick<StateRecord, "error"> = {}): Promise<void> {
    const { progress } = this.#live;
    await this.#deps.store.setState(this.#live.id, {
      state,
      run: this.#run,
      changedAt: new Date().toISOString(),
      ...(this.#begun && { begun: this.#begun }),
      ...(this.#strays && { strays: true }),
      ...(progress && { progress }),
      ...more,
    });
  }

  async #expire({ keepHistorySeconds }: StartRequest): Promise<void> {
    const keepMs = keepHistorySeconds === 0n ? DEFAULT_KEEP_MS : Number(keepHistorySeconds) * 1_000;
    const signal = AbortSignal.timeout(DISCARD_MS);
    const forget = (job: Parameters<typeof forgetExpired>[1]) => forgetExpired(this.#deps, job, signal);
    await expireJobs(this.#deps.store, { keepMs, nowMs: Date.now(), forget }).catch(() => undefined);
  }
}

/** To remove what is at a destination when the job is over; a server that is not there removes it by itself later. */
const DISCARD_MS = 20_000;

function retryOf({ retries }: StartRequest, unattended: boolean): RetryPolicy {
  return { attempts: retries ?? DEFAULT_RETRIES, fromStart: retries !== undefined || unattended };
}

function toolsOf({ engine, backends, spoolParent, machine }: JobDeps): RunTools {
  const local = machine ?? (() => backends.open("", new AbortController().signal));
  return { engine, hostId: hostId(), local, spoolParent };
}

async function transferOf(
  { backends }: JobDeps,
  request: StartRequest,
  { jobId, signal }: { readonly jobId: string; readonly signal: AbortSignal },
): Promise<TransferRequest> {
  const { several, move, dryRun, manifestFile, traceFile } = request;
  return {
    jobId,
    ...(await endpointsOf(backends, request, signal)),
    options: optionsFromWire(request.options),
    several,
    move,
    dryRun,
    ...(manifestFile === "" ? {} : { manifestFile }),
    ...(traceFile === "" ? {} : { traceFile }),
  };
}
