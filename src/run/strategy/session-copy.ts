import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import {
  NoticeSchema,
  type Progress,
  ProgressSchema,
  type StartResponse,
  StartResponseSchema,
} from "../../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../../model/error.ts";
import { abortError } from "../abort.ts";
import { farKeeping, type RunContext } from "../context.ts";
import { isWorthRetrying, NO_RETRY, retryDelayMs } from "../retry-policy.ts";
import { peerOf } from "./peer.ts";

type Given = Pick<RunContext, "request" | "signal">;

/**
 * Within one peer, through its own engine: no byte comes here. What it says is passed on, its receipt under this job's id. A peer
 * that is lost is asked again, and goes on from what it kept.
 */
export async function* sessionCopy({ request, signal }: Given): AsyncGenerator<StartResponse> {
  const policy = request.retry ?? NO_RETRY;
  let last: Progress | undefined;
  let fruitless = 0;
  for (let attempt = 1; ; attempt += 1) {
    const before = last?.bytes ?? 0n;
    try {
      for await (const event of copyOnce({ request, signal }, attempt)) {
        if (event.event.case === "progress") last = event.event.value;
        yield event;
      }
      return;
    } catch (cause) {
      const error = PbError.from(cause);
      const mayRetry = last !== undefined || policy.fromStart;
      if (signal.aborted || !isWorthRetrying(error) || !mayRetry) throw error;
      fruitless = (last?.bytes ?? 0n) > before ? 1 : fruitless + 1;
      if (fruitless > policy.attempts) throw error;
      const delayMs = retryDelayMs(fruitless);
      yield* waiting({ error, last, retry: attempt, delayMs, first: attempt === 1 });
      await sleep(delayMs, undefined, { signal }).catch(() => {
        throw abortError(signal);
      });
    }
  }
}

async function* copyOnce({ request, signal }: Given, attempt: number): AsyncGenerator<StartResponse> {
  const { sources, destination, several, move, dryRun, options, jobId } = request;
  const copy = peerOf(destination).copy({
    sources: sources.map(({ path }) => path),
    destination: destination.path,
    several,
    move,
    dryRun,
    ...farKeeping({ request, attempt }),
    options,
    signal,
  });
  for await (const event of copy) {
    if (event.event.case === "receipt") {
      const receipt = event.event.value;
      receipt.jobId = jobId;
      receipt.source = sources.map(({ label }) => label).join(" ");
      receipt.destination = destination.label;
      receipt.label = request.label ?? "";
      receipt.attempts = attempt;
    }
    yield event;
  }
}

function* waiting(given: {
  readonly error: PbError;
  readonly last: Progress | undefined;
  readonly retry: number;
  readonly delayMs: number;
  readonly first: boolean;
}): Generator<StartResponse> {
  const { error, last, retry, delayMs, first } = given;
  const waitingFor = error.peer ?? "";
  const message = `${waitingFor}: ${error.message}; going on when it is back`;
  if (first) yield of({ case: "notice", value: create(NoticeSchema, { code: "retrying", message }) });
  const { $typeName: _, $unknown: __, ...known } = last ?? create(ProgressSchema);
  const value = create(ProgressSchema, {
    ...known,
    waitingFor,
    retry,
    retryInMs: BigInt(Math.round(delayMs)),
  });
  yield of({ case: "progress", value });
}

function of(event: StartResponse["event"]): StartResponse {
  return create(StartResponseSchema, { event });
}
