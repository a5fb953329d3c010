import { create } from "@bufbuild/protobuf";
import { type Notice, NoticeSchema, Resume, type StartRequest } from "../../gen/packetboat/v1/transfer_pb.ts";
import type { Location } from "../../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../../model/error.ts";
import { formatLocation } from "../../model/location.ts";
import { pathText } from "../../model/path.ts";
import { throwIfAborted } from "../../run/abort.ts";
import { errorToWire } from "../../wire/error.ts";
import type { JobDeps } from "./deps.ts";
import { discardKept, hasPartsFar, isStream } from "./discard.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { removeSpool } from "./spool.ts";
import { type StoredJob, UNFINISHED } from "./store.ts";

export interface OpenedJob {
  readonly job: StoredJob;
  /** What to do now. */
  readonly request: StartRequest;
  /** An unfinished job goes on. */
  readonly resumed: boolean;
  /** What became of jobs before it. */
  readonly notices: readonly Notice[];
}

/** The job that a request is for: the one that it names, an unfinished one of the same transfer, or a new one. */
export async function openJob(deps: JobDeps, request: StartRequest, signal: AbortSignal): Promise<OpenedJob> {
  if (request.jobId !== "") return openNamed(deps, request);
  const fingerprint = fingerprintOf(request);
  const resumable = deps.keeps && isResumable(request);
  const survey = await deps.store.survey(fingerprint);
  const beside = tellRunning(survey.running);
  if (resumable) {
    const { unfinished } = survey;
    const [newest] = unfinished;
    if (newest && request.resume !== Resume.NEVER) {
      return { job: newest, request, resumed: newest.state.begun !== undefined, notices: beside };
    }
    for (const job of unfinished) await forgetJob(deps, job, signal);
  }
  const forgotten =
    deps.keeps && isStream(request) ? await forgetStreams(deps, survey.unfinished, signal) : [];
  throwIfAborted(signal);
  const { sources, destination, label } = request;
  const asked = {
    fingerprint,
    label,
    resumable,
    request,
    source: request.sourceFd === undefined ? sources.map(labelOf).join(" ") : "standard input",
    destination: destination ? labelOf(destination) : "standard output",
  };
  const job = await deps.store.create(asked, survey);
  return { job, request, resumed: false, notices: [...beside, ...forgotten] };
}

/** Two of the same at once are no fault: each has temporary names of its own, and what is there in the end is whole, of the one that came last. */
function tellRunning([first, ...others]: readonly string[]): Notice[] {
  if (first === undefined) return [];
  const id = first.slice(0, 8);
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  const message = `job ${id}${more} does the same now, and this one does it once more: pb jobs watch ${id}`;
  return [create(NoticeSchema, { code: "also-running", message })];
}

/** @throws PbError `not_found`, `invalid_argument` when it is over, or can't go on */
async function openNamed(deps: JobDeps, asked: StartRequest): Promise<OpenedJob> {
  const job = await deps.store.find(asked.jobId);
  const { record, status } = job;
  if (status === "done" || status === "cancelled") {
    throw new PbError("invalid_argument", `job ${record.id} is ${status}`, {
      hint: "give the transfer again to run it anew",
    });
  }
  if (!record.resumable && status !== "queued") {
    const what = record.request.sourceFd === undefined ? "standard output" : "standard input";
    throw new PbError(
      "unsupported",
      `job ${record.id} can't go on: ${what} can't be taken up in the middle`,
      {
        hint: "give the transfer again",
      },
    );
  }
  const { retries, deadlineMs, keepHistorySeconds } = asked;
  const request: StartRequest = {
    ...record.request,
    deadlineMs: deadlineMs || record.request.deadlineMs,
    keepHistorySeconds: keepHistorySeconds || record.request.keepHistorySeconds,
    ...(retries === undefined ? {} : { retries }),
  };
  return { job, request, resumed: job.state.begun !== undefined, notices: [] };
}

/**
 * Streams to the same place that did not come to their end: none can go on, so what they have left is removed before the next begins. Where that can't
 * be done now the next goes all the same, and the record of what is left stays.
 */
async function forgetStreams(
  deps: JobDeps,
  unfinished: readonly StoredJob[],
  signal: AbortSignal,
): Promise<Notice[]> {
  const notices: Notice[] = [];
  for (const job of unfinished.filter(({ state }) => state.begun !== undefined)) {
    const { id, destination } = job.record;
    const what = `job ${id.slice(0, 8)}, which was ${job.status === "failed" ? "ended by an error" : "interrupted"},`;
    try {
      await forgetJob(deps, job, signal);
      const message = `what ${what} had left of ${destination} is removed, and the job forgotten`;
      notices.push(create(NoticeSchema, { code: "stream-removed", message }));
    } catch (cause) {
      throwIfAborted(signal);
      const { message: why, hint = "" } = PbError.from(cause);
      const message = `${what} may have left something of ${destination}: ${why}${hint && `; ${hint}`}`;
      notices.push(create(NoticeSchema, { code: "stream-left", message }));
    }
  }
  return notices;
}

/** Removes a job that does not run, with what it has left. */
export async function forgetJob(deps: JobDeps, job: StoredJob, signal: AbortSignal): Promise<void> {
  if (UNFINISHED.has(job.status)) await discardKept(deps, job, signal);
  await deps.store.remove(job.record.id);
}

/**
 * The same without a word to a server: it forgets by itself, and need not be there now. An endpoint does not: a job that has left
 * something there stays, and its record says what and where, until that is removed, which is tried again when its time is over again.
 */
export async function forgetExpired(deps: JobDeps, job: StoredJob, signal: AbortSignal): Promise<void> {
  const { record, state, status } = job;
  const atEndpoint = UNFINISHED.has(status) && (await hasPartsFar(deps, job));
  if (record.request.destination?.remote && !atEndpoint) {
    await removeSpool(deps, record.id);
    return deps.store.remove(record.id);
  }
  try {
    await forgetJob(deps, job, signal);
  } catch (cause) {
    if (atEndpoint)
      await deps.store.setState(record.id, { ...state, error: errorToWire(PbError.from(cause)) });
    throw cause;
  }
}

/** A standard stream can't be read, or written, again from the middle, and of what is discarded nothing is left. */
function isResumable({ sourceFd, destinationFd, options }: StartRequest): boolean {
  return sourceFd === undefined && destinationFd === undefined && options?.discard !== true;
}

export function labelOf({ remote, path: bytes }: Location): string {
  const path = pathText(bytes);
  return formatLocation(remote === "" ? { kind: "local", path } : { kind: "remote", remote, path });
}
