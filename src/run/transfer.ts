import { create } from "@bufbuild/protobuf";
import { type Receipt, type StartResponse, StartResponseSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { throwIfAborted } from "./abort.ts";
import type { RunContext, Strategy } from "./context.ts";
import { dryRun } from "./dry-run.ts";
import { openEarly } from "./early.ts";
import { notMovedYet } from "./moved.ts";
import { makeReceipt, type Outcome, stateOf, tellUnsaid } from "./receipt.ts";
import { Reporter } from "./report.ts";
import { type RunTools, refuseDiscardingMove, type TransferRequest } from "./request.ts";
import { resolveRequest } from "./resolve.ts";
import { withRetries } from "./retry.ts";
import { refuseSameThing } from "./same-file.ts";
import { isOnePlace, isWithinHost } from "./same-host.ts";
import { kindOf, peerOf } from "./strategy/peer.ts";
import { rootToRoot } from "./strategy/root-to-root.ts";
import { rootToSession } from "./strategy/root-to-session.ts";
import { sessionCopy } from "./strategy/session-copy.ts";
import { sessionToRoot } from "./strategy/session-to-root.ts";
import { sessionToSession } from "./strategy/session-to-session.ts";
import { Tracer } from "./trace/trace.ts";
import { warmAny, warmFor } from "./warm.ts";

export type { Endpoint, RunTools, TransferRequest } from "./request.ts";

const STRATEGIES = {
  root: { root: rootToRoot, session: rootToSession, chunks: rootToRoot },
  session: { root: sessionToRoot, session: sessionToSession, chunks: sessionToRoot },
  chunks: { root: rootToRoot, session: rootToSession, chunks: rootToRoot },
} as const satisfies Record<string, Record<string, Strategy>>;

/**
 * Runs one transfer: progress at most ten times a second, errors and notices as they come, the receipt last. Ending the iteration
 * early, or the signal, aborts it; what it opened is closed before the iteration ends.
 *
 * @throws PbError when the transfer could not begin: a source that is not there, a request that makes no sense, a peer
 *   that is not reached. Later errors are in the receipt, whose state then is "partial", "failed" or "aborted"
 */
export async function* runTransfer(
  request: TransferRequest,
  tools: RunTools,
  signal: AbortSignal,
): AsyncGenerator<StartResponse> {
  throwIfAborted(signal);
  demandOnePlace(request);
  refuseDiscardingMove(request);
  const sources = request.resume ? await notMovedYet(request, signal) : request.sources;
  if (sources.length === 0) {
    yield allMoved(request);
    return;
  }
  // Everything that takes a round trip goes at once.
  if (!request.dryRun) warmAny(sources[0]);
  await using early = openEarly({ ...request, sources }, signal);
  const asked = isWithinHost({ ...request, sources }, { hostId: tools.hostId, signal });
  asked.catch(() => undefined);
  const resolved = await resolveRequest({ ...request, sources }, signal);

  const oneHost = await asked;
  if (oneHost) await refuseSameThing(resolved, signal);
  if (!request.dryRun) warmFor(resolved.resolved[0]);
  await tools.onResolved?.(resolved);
  const context = { request: resolved, tools, oneHost, early, signal };
  if (request.dryRun) yield* plan(context);
  else if (request.traceFile === undefined) yield* carryOut(context);
  else yield* traced(context, await Tracer.open(request.traceFile, request));
}

function carryOut(context: Base): AsyncGenerator<StartResponse> {
  return isWithinPeer(context.request)
    ? sessionCopy(context)
    : execute(context, strategyFor(context.request));
}

async function* traced(context: Base, trace: Tracer): AsyncGenerator<StartResponse> {
  try {
    for await (const response of carryOut({ ...context, trace })) {
      if (response.event.case === "receipt") await trace.finish(response.event.value);
      else trace.take(response);
      yield response;
    }
  } catch (cause) {
    trace.failed(PbError.from(cause));
    throw cause;
  } finally {
    await trace.close();
  }
}

/** Sources are of one place: one session, one listing, one receipt. */
function demandOnePlace({ sources }: TransferRequest): void {
  const [first, ...others] = sources;
  if (first === undefined) throw new PbError("invalid_argument", "a transfer needs a source");
  const other = others.find(({ backend }) => !isOnePlace(backend, first.backend));
  if (other === undefined) return;
  throw new PbError("invalid_argument", `${first.label} and ${other.label} are at different places`, {
    hint: "transfer from one place at a time",
  });
}

function isWithinPeer({ sources, destination }: TransferRequest): boolean {
  const { native, capabilities } = destination.backend;
  if (native.kind !== "session" || !capabilities.serverSideCopy) return false;
  return sources.every((source) => kindOf(source) === "session" && peerOf(source) === native.peer);
}

function strategyFor({ sources, destination }: TransferRequest): Strategy {
  const from = sources[0] ? kindOf(sources[0]) : "root";
  return STRATEGIES[from][kindOf(destination)];
}

type Base = Omit<RunContext, "reporter" | "begin" | "attempt">;

function newReporter({ request }: { readonly request: TransferRequest }): Reporter {
  const { move } = request;
  const { limitBytesPerSecond } = request.options;
  return new Reporter({ limitBytesPerSecond, moves: move, now: () => performance.now() });
}

const NOTHING: Omit<Outcome, "state"> = { hashes: [], lanes: 0, sealed: false };

async function* execute(given: Base, strategy: Strategy): AsyncGenerator<StartResponse> {
  const left = new AbortController();
  const base = { ...given, signal: AbortSignal.any([given.signal, left.signal]) };
  const startedAt = new Date();
  const reporter = newReporter(base);
  let begun = false;
  const begin = () => {
    begun = true;
  };
  const running = withRetries({ ...base, reporter, begin }, strategy, () => begun)
    .catch((cause: unknown): Outcome => {
      const error = PbError.from(cause);
      if (!begun) throw error;
      reporter.error(error);
      return { ...NOTHING, state: stateOf(error), sealed: base.request.options.seal };
    })
    .then((outcome) => {
      tellUnsaid(outcome.state, reporter);
      reporter.progress();
      return makeReceipt(base.request, { outcome, reporter, startedAt });
    })
    .finally(() => {
      reporter.stop();
      reporter.events.end();
    });
  running.catch(() => undefined);
  try {
    yield* reporter.events;
    yield receiptEvent(await running);
  } finally {
    // Matters only to a reader that leaves early; the strategy's clean-up is waited for all the same.
    left.abort();
    await running.catch(() => undefined);
  }
}

/** A run before this one has moved everything, and was gone before it could say so. */
function allMoved(request: TransferRequest): StartResponse {
  const reporter = newReporter({ request });
  reporter.stop();
  const outcome: Outcome = { ...NOTHING, state: "done" };
  return receiptEvent(makeReceipt(request, { outcome, reporter, startedAt: new Date() }));
}

async function* plan(base: Base): AsyncGenerator<StartResponse> {
  const startedAt = new Date();
  const reporter = newReporter(base);
  try {
    const outcome = yield* dryRun({ ...base, reporter, begin: () => {} });
    reporter.stop();
    reporter.events.end();
    yield* reporter.events;
    yield receiptEvent(makeReceipt(base.request, { outcome, reporter, startedAt }));
  } finally {
    reporter.stop();
  }
}

function receiptEvent(receipt: Receipt): StartResponse {
  return create(StartResponseSchema, { event: { case: "receipt", value: receipt } });
}
