import type { JobDone, JobEvent } from "../gen/packetboat/v1/session_pb.ts";
import { PbError } from "../model/error.ts";
import type { Accepts, JobResult, LaneSample } from "../native/types.ts";
import { errorFromWire } from "../wire/error.ts";
import { redoneFromWire } from "../wire/redone.ts";
import { sampleFromWire } from "../wire/sample.ts";
import { lossOf } from "./halves.ts";
import { isLoss, namePeer, type Reporter } from "./report.ts";
import type { Trace } from "./trace/trace.ts";

/** The far half says the end of its job within this after the near half knows it: it has only to tidy up. */
const FAR_END_MS = 30_000;
/** Where the near half failed, the far one says why about as soon, or is gone itself. */
const FAR_REASON_MS = 2_000;
/** A sender knows the result of every file by then; a receiver whose call was lost with an address only says what it copied. */
const FAR_FIGURES_MS = 5_000;

export interface FarCall {
  /** Resolves when the far job exists, with what a receiver accepts. Rejects when the call ends before. */
  readonly ready: Promise<Accepts | undefined>;
  /** Resolves with `done`; rejects when the call ends with an error, or without it. */
  readonly done: Promise<JobDone>;
  /** Aborted with the call's error. */
  readonly failed: AbortSignal;
  /** The newest lanes as the far side sees them; empty before the first. */
  lanes(): readonly LaneSample[];
  /** The oldest: as they were when the far job began. Empty before them. */
  firstLanes(): readonly LaneSample[];
  /** A receiver has said that it reads again what it writes. */
  rereads(): boolean;
}

export interface FarOptions {
  readonly reporter: Pick<Reporter, "error" | "notice" | "found"> & Partial<Pick<Reporter, "redone">>;
  readonly trace?: Pick<Trace, "farLanes"> | undefined;
  /** Its name. */
  readonly peer: string;
  /** The one that the call was given. */
  readonly signal: AbortSignal;
}

/** Reads a far half's events to their end and passes them to the reporter. */
export function watchFar(
  events: AsyncIterable<JobEvent>,
  { reporter, trace, peer, signal }: FarOptions,
): FarCall {
  const failure = new AbortController();
  let lanes: readonly LaneSample[] = [];
  let firstLanes: readonly LaneSample[] | undefined;
  let rereads = false;
  let markReady = (_accepts: Accepts | undefined) => {};
  const becomesReady = new Promise<Accepts | undefined>((resolve) => {
    markReady = resolve;
  });
  const done = readAll(events, (event) => {
    if (event.case === "ready") {
      rereads = event.value.rereads;
      markReady(event.value.accepts);
    } else if (event.case === "samples") {
      lanes = event.value.lanes.map(sampleFromWire);
      firstLanes ??= lanes;
      trace?.farLanes(lanes);
    } else if (event.case === "error") reporter.error(errorFromWire(event.value, peer));
    else if (event.case === "redone") reporter.redone?.(event.value.files.map(redoneFromWire));
    else if (event.case === "notice") reporter.notice(event.value.code, event.value.message);
    else if (event.case === "listed") {
      const { files, bytes, done: listed } = event.value;
      reporter.found({ files: Number(files), bytes: Number(bytes), done: listed });
    }
  }).catch((cause: unknown) => {
    const error = farError(cause, { peer, signal });
    failure.abort(error);
    throw error;
  });
  done.catch(() => undefined);
  const ready = Promise.race([becomesReady, done.then(() => undefined)]);
  ready.catch(() => undefined);
  return {
    ready,
    done,
    failed: failure.signal,
    lanes: () => lanes,
    firstLanes: () => firstLanes ?? [],
    rereads: () => rereads,
  };
}

/**
 * A receiver that is to read again what it has written must have said that it does.
 *
 * @throws PbError `unsupported`
 */
export function demandReread(
  { rereads }: Pick<FarCall, "rereads">,
  { reread, peer }: { readonly reread: boolean; readonly peer: string },
): void {
  if (!reread || rereads()) return;
  throw new PbError("unsupported", `${peer} can't read again what it has written`, {
    peer,
    hint: "its version is too old for --verify full",
  });
}

/** A call that nobody here has aborted was ended by the other side, or by what is in between. */
function farError(cause: unknown, { peer, signal }: Omit<FarOptions, "reporter" | "trace">): PbError {
  const error = PbError.from(cause, "connection_lost");
  if (error.code !== "aborted" || signal.aborted) return namePeer(error, peer);
  return new PbError("connection_lost", `${peer} has ended the call`, { peer, cause });
}

async function readAll(
  events: AsyncIterable<JobEvent>,
  onEvent: (event: JobEvent["event"]) => void,
): Promise<JobDone> {
  let done: JobDone | undefined;
  for await (const { event } of events) {
    if (event.case === "done") done = event.value;
    else onEvent(event);
  }
  if (done) return done;
  throw new PbError("connection_lost", "the call ended before the job did");
}

/**
 * Waits for the far half once the near one has ended by itself.
 *
 * @param needed false: the near half has heard everything that matters, and a far one that stays silent is let be
 * @throws PbError of the far half, where it failed: it knows why the near one ended as it did. Not that it is lost, where the near one failed by itself:
 * who hears of that may end the call before the near job's own end is heard here
 */
export async function concludeFar(
  far: FarCall,
  { peer, near, needed }: { readonly peer: string; readonly near: JobResult; readonly needed: boolean },
): Promise<JobDone | undefined> {
  const wentWell = near.state === "done" || near.state === "partial";
  if (wentWell && needed) return awaitFarEnd(far, { peer, withinMs: FAR_END_MS });
  if (wentWell) {
    return awaitFarEnd(far, { peer, withinMs: FAR_FIGURES_MS }).catch((error: unknown) => {
      if (far.failed.aborted) throw error;
      return undefined;
    });
  }
  const knowsWhy = near.state === "failed" && near.allErrors.length > 0 && lossOf(near) === undefined;
  await awaitFarEnd(far, { peer, withinMs: FAR_REASON_MS }).catch((cause: unknown) => {
    if (far.failed.aborted && !(knowsWhy && isLoss(PbError.from(cause)))) throw cause;
  });
  if (near.state === "aborted") throw new PbError("connection_lost", `${peer} has ended the job`, { peer });
  return undefined;
}

async function awaitFarEnd(
  far: FarCall,
  { peer, withinMs }: { readonly peer: string; readonly withinMs: number },
): Promise<JobDone> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new PbError("timeout", `${peer} does not say the end of the job`, { peer });
    timer = setTimeout(() => reject(error), withinMs);
  });
  try {
    return await Promise.race([far.done, late]);
  } finally {
    clearTimeout(timer);
  }
}
