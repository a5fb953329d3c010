import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import type { HandlerContext } from "@connectrpc/connect";
import type { CopyRequest, JobEvent, ReceiveRequest, SendRequest } from "../gen/packetboat/v1/session_pb.ts";
import type { StartResponse } from "../gen/packetboat/v1/transfer_pb.ts";
import type { Location } from "../gen/packetboat/v1/types_pb.ts";
import type { RecoveryNote } from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import type { Caller } from "../model/identity.ts";
import type { TransferOptions } from "../model/transfer.ts";
import type { JobResult, NativeEngine } from "../native/types.ts";
import { runSendHalf, startReceiveHalf } from "../run/halves.ts";
import { type ResolvedSource, refuseDiscardingMove, rootOf } from "../run/request.ts";
import { resolveSources } from "../run/resolve.ts";
import { type Endpoint, type RunTools, runTransfer } from "../run/transfer.ts";
import { optionsFromWire } from "../wire/options.ts";
import { callerOf } from "./caller.ts";
import { type Spot, told } from "./file-service.ts";
import { hostId } from "./host-id.ts";
import { type JobEvents, jobEvents } from "./job-events.ts";
import type { Entered, Entering, Keeper } from "./kept/keeper.ts";
import { pathFromWire } from "./paths.ts";
import type { Places } from "./places.ts";
import type { OpenSession, Sessions } from "./sessions.ts";

export interface FarJobs {
  /** Absent: nothing is kept of jobs. */
  readonly keeper?: Keeper | undefined;
  readonly sessions: Sessions;
  readonly places: Places;
  readonly engine: NativeEngine;
}

interface Job {
  readonly open: OpenSession;
  readonly events: JobEvents;
  readonly signal: AbortSignal;
}

/** Receives into a place of this server. The sender hears of each file by the session itself; the call says the rest. */
export async function* farReceive(
  jobs: FarJobs,
  request: ReceiveRequest,
  context: HandlerContext,
): AsyncGenerator<JobEvent> {
  const caller = callerOf(context);
  const options = optionsFromWire(request.options);
  const { spot, endpoint } = await writable(jobs, caller, request.destination);
  const target = { path: endpoint.name ?? "", exactName: request.exactName };
  yield* runJob(jobs, { request, context, above: spot }, async ({ open, events, signal }) => {
    const { overwrite, fsync, perms, owner, discard, reread } = options;
    const kept = await enterKept(jobs, caller, { ...request, target });
    for (const note of kept?.checkpoint.recovered.notes ?? []) tellNote(events, note);
    const both = kept ? AbortSignal.any([signal, kept.signal]) : signal;
    let ended = false;
    try {
      const half = startReceiveHalf({
        session: open.session,
        receive: {
          job: request.job,
          root: rootOf({ backend: spot.backend, path: spot.path, label: spot.path }),
          base: spot.path,
          exactName: request.exactName,
          overwrite,
          fsync,
          perms,
          owner,
          discard,
          reread,
        },
        kept: kept && { checkpoint: kept.checkpoint, jobId: request.jobId, move: request.move },
        onProgress: ({ redone }) => events.redone(redone),
        signal: both,
      });
      events.ready({ accepts: half.accepts, rereads: reread });
      const result = await half.done;
      ended = result.state === "done" || result.state === "partial";
      if (ended) await kept?.tidy();
      return result;
    } finally {
      // What ended well is kept until the client says that it knows (Close).
      await kept?.leave({ discard: isOver(both), ended });
      // The client has another session by now.
      if (kept?.signal.aborted) await jobs.sessions.close(caller, request.connectionId);
    }
  });
}

async function enterKept(
  { keeper }: FarJobs,
  caller: Caller,
  entering: Entering,
): Promise<Entered | undefined> {
  return entering.jobId === "" ? undefined : keeper?.enter(caller, entering);
}

/** A torn tail is what a crash leaves, and was never acknowledged: nothing to tell of. */
function tellNote(events: JobEvents, { kind, message }: RecoveryNote): void {
  if (kind !== "torn_tail") events.report.notice(`checkpoint-${kind}`, message);
}

/** Nobody comes back to it. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted && PbError.from(signal.reason).code === "revoked";
}

/** Lists, filters and sends from places of this server. */
export async function* farSend(
  jobs: FarJobs,
  request: SendRequest,
  context: HandlerContext,
): AsyncGenerator<JobEvent> {
  const options = optionsFromWire(request.options);
  const { several, intoExisting, move } = request;
  refuseDiscardingMove({ move, options });
  const sources = await sourcesOf(jobs, callerOf(context), request);
  const resolved = await resolvedFor({ sources, options, several }, context.signal);
  const asked = { options, resolved, intoExisting, move };
  const above = sources[0]?.spot;
  yield* runJob(jobs, { request, context, above }, ({ open, events, signal }) => {
    events.ready();
    return runSendHalf({
      session: open.session,
      job: request.job,
      request: asked,
      report: events.report,
      onProgress: () => {},
      signal,
    });
  });
}

/** Runs a job of a session to its end and gives its events. The call's end, the session's end and a revocation abort it. */
async function* runJob(
  { sessions }: FarJobs,
  given: {
    readonly request: { readonly connectionId: bigint; readonly job: number };
    readonly context: HandlerContext;
    readonly above: Spot | undefined;
  },
  run: (job: Job) => Promise<JobResult>,
): AsyncGenerator<JobEvent> {
  const { request, context, above } = given;
  const caller = callerOf(context);
  const { open, end } = sessions.startJob(caller, request.connectionId, request.job);
  const left = new AbortController();
  const signal = AbortSignal.any([context.signal, open.ended, left.signal]);
  const events = jobEvents(open.session, (error) => (above ? told(error, above) : error));
  const running = (async () => run({ open, events, signal }))().then(
    (result) => conclude(events, result),
    (error: unknown) => events.fail(above ? told(error, above) : error),
  );
  try {
    yield* events;
  } finally {
    left.abort();
    await running;
    end({ lost: context.signal.aborted });
  }
}

function conclude(events: JobEvents, result: JobResult): void {
  if (result.state === "done" || result.state === "partial") events.done(result);
  else events.fail(result.allErrors[0] ?? new PbError("aborted", "the job was aborted"));
}

/** Copies within this server. */
export async function* farCopy(
  jobs: FarJobs,
  request: CopyRequest,
  context: HandlerContext,
): AsyncGenerator<StartResponse> {
  const caller = callerOf(context);
  const options = optionsFromWire(request.options);
  const sources = await sourcesOf(jobs, caller, request);
  if (sources.some(({ rootName }) => rootName !== "")) {
    throw new PbError("invalid_argument", "the top of this server is several roots: copy them one by one");
  }
  const destination = request.dryRun
    ? await readable(jobs, caller, request.destination)
    : await writable(jobs, caller, request.destination);
  const unused = async (): Promise<never> => {
    throw new PbError("internal", "a copy within one server needs no spool");
  };
  let kept: Entered | undefined;
  const { jobId, resume } = request;
  const resumable = jobId !== "" && jobs.keeper !== undefined && !request.dryRun;
  const stop = new AbortController();
  const tools: RunTools = {
    engine: jobs.engine,
    hostId: hostId(),
    local: unused,
    spoolParent: tmpdir(),
    openCheckpoint: async ({ exactName }) => {
      const target = { path: destination.endpoint.name ?? "", exactName };
      kept = await jobs.keeper?.enter(caller, { jobId, resume, target });
      if (!kept) throw new PbError("internal", "this server keeps no checkpoints");
      kept.signal.addEventListener("abort", () => stop.abort(kept?.signal.reason), { once: true });
      return kept.checkpoint;
    },
  };
  const asked = {
    jobId: resumable ? jobId : randomUUID(),
    resumable,
    resume,
    sources: sources.map(({ endpoint }) => endpoint),
    destination: destination.endpoint,
    options,
    several: request.several,
    move: request.move,
    dryRun: request.dryRun,
  };
  const signal = AbortSignal.any([context.signal, stop.signal]);
  let over = false;
  try {
    for await (const event of runTransfer(asked, tools, signal)) {
      if (event.event.case === "receipt") over = ["done", "partial"].includes(event.event.value.state);
      if (over) await kept?.tidy();
      yield event;
    }
  } catch (error) {
    throw told(error, destination.spot);
  } finally {
    await kept?.leave({ discard: over });
  }
}

interface Placed {
  readonly spot: Spot;
  /** Of a root that is a part of the server's top, its name there; else "". */
  readonly rootName: string;
  readonly endpoint: Endpoint;
}

async function readable(
  { places }: FarJobs,
  caller: Caller,
  location: Location | undefined,
): Promise<Placed> {
  if (!location) throw new PbError("invalid_argument", "the request names no location");
  const path = pathFromWire(location.path);
  const spot = await places.spot(caller, path);
  return placed(spot, path);
}

/** @throws PbError `read_only` for a caller, or a place, that may not be changed */
async function writable(jobs: FarJobs, caller: Caller, location: Location | undefined): Promise<Placed> {
  const found = await readable(jobs, caller, location);
  if (!caller.readOnly && found.spot.backend.capabilities.writable) return found;
  throw new PbError("read_only", "nothing may be changed here with this access", {
    path: found.endpoint.label,
  });
}

/** The place under the name that the caller knows. */
function placed(spot: Spot, path: string, rootName = ""): Placed {
  return {
    spot,
    rootName,
    endpoint: { backend: spot.backend, path: spot.path, name: path, label: `/${path}` },
  };
}

async function sourcesOf(
  jobs: FarJobs,
  caller: Caller,
  { sources, move }: { readonly sources: readonly Location[]; readonly move: boolean },
): Promise<Placed[]> {
  const all: Placed[] = [];
  for (const { path: bytes } of sources) {
    const path = pathFromWire(bytes);
    for (const spot of await jobs.places.spots(caller, path)) all.push(placed(spot, path, spot.name));
  }
  if (!move || !all.some(({ spot }) => caller.readOnly || !spot.backend.capabilities.writable)) return all;
  throw new PbError("read_only", "nothing may be removed here with this access", {
    path: all[0]?.endpoint.label ?? "/",
  });
}

/** The top of a server with several roots is all of them, each below its name. */
async function resolvedFor(
  { sources, options, several }: { sources: readonly Placed[]; options: TransferOptions; several: boolean },
  signal: AbortSignal,
): Promise<readonly ResolvedSource[]> {
  if (sources.some(({ rootName }) => rootName !== "")) {
    if (several) throw new PbError("invalid_argument", "the top of this server has no name to arrive under");
    return sources.map(({ endpoint, rootName }) => ({ endpoint, kind: "directory", prefix: rootName }));
  }
  const endpoints = sources.map(({ endpoint }) => endpoint);
  const destination = { path: "", label: "the destination" };
  const request = { sources: endpoints, destination, options, several };
  return (await resolveSources(request, { existing: undefined, signal })).resolved;
}
