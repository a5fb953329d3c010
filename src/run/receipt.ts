import { create } from "@bufbuild/protobuf";
import { FileHashSchema, type Receipt, ReceiptSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../model/error.ts";
import { pathBytes } from "../model/path.ts";
import type { JobResult } from "../native/types.ts";
import { errorToWire } from "../wire/error.ts";
import { redoneToWire } from "../wire/redone.ts";
import { sampleToWire } from "../wire/sample.ts";
import { summarizeLanes } from "./lanes.ts";
import type { Reporter } from "./report.ts";
import type { TransferRequest } from "./request.ts";
import type { Counts } from "./tally.ts";
import { isAtLimit, longest } from "./window.ts";

export type State = JobResult["state"];

/** Who hears that some files are missing is told which and why, or at least that nobody can say. */
export function tellUnsaid(state: State, reporter: Reporter): void {
  const failed = reporter.counts.failedFiles;
  if (reporter.errors.count > 0 || (state !== "partial" && !(state === "done" && failed > 0))) return;
  const what = failed === 0 ? "some entries" : failed === 1 ? "one entry" : `${failed} entries`;
  const hint = "transfer again: what has arrived is not sent again";
  reporter.error(new PbError("internal", `${what} failed, and nothing says which or why`, { hint }));
}

/** How a transfer went. */
export interface Outcome {
  /** What the jobs say; errors of the listing come on top. */
  readonly state: State;
  readonly hashes: JobResult["hashes"];
  /** Lanes that were opened; 0 within one process. */
  readonly lanes: number;
  readonly sealed: boolean;
}

/** Where a receipt leaves off; the manifest file has them all. */
const MAX_HASHES = 1_000;

export function makeReceipt(
  request: TransferRequest,
  { outcome, reporter, startedAt }: { outcome: Outcome; reporter: Reporter; startedAt: Date },
): Receipt {
  const counts = reporter.counts;
  const seconds = reporter.seconds;
  const bytesPerSecond = seconds > 0 ? Math.max(0, counts.bytes - counts.resumedBytes) / seconds : 0;
  return create(ReceiptSchema, {
    jobId: request.jobId,
    state: request.dryRun
      ? dryRunState(outcome.state, reporter.errors.count)
      : finalState(outcome.state, { counts, errors: reporter.errors.count }),
    ...countFields(counts),
    leftOutLinks: BigInt(reporter.leftOutLinks),
    seconds,
    bytesPerSecond,
    ...networkFields(reporter, { bytesPerSecond, limitBytesPerSecond: request.options.limitBytesPerSecond }),
    ...reporter.copies.fields(),
    sealed: outcome.sealed,
    // Of what did not come, nothing was.
    verified:
      counts.files > 0 && !request.dryRun
        ? reporter.confirmations.text({ reread: request.options.reread })
        : "",
    lanes: outcome.lanes,
    errors: reporter.errors.listed.map(errorToWire),
    moreErrors: BigInt(reporter.errors.notListed),
    fsync: request.options.fsync && request.destination.fd === undefined && !request.options.discard,
    discarded: request.options.discard,
    hashes: outcome.hashes
      .slice(0, MAX_HASHES)
      .map(({ path, size, blake3 }) =>
        create(FileHashSchema, { path: pathBytes(path), size: BigInt(size), blake3 }),
      ),
    redone: reporter.redoneFiles.map(redoneToWire),
    manifestFile: request.manifestFile ?? "",
    notices: [...reporter.notices],
    source: request.sources.map(({ label }) => label).join(" "),
    destination: request.destination.label,
    startedAt: startedAt.toISOString(),
    attempts: reporter.attempts,
    label: request.label ?? "",
  });
}

function countFields(counts: Counts) {
  return {
    bytes: BigInt(counts.bytes),
    files: BigInt(counts.files),
    directories: BigInt(counts.directories),
    symlinks: BigInt(counts.symlinks),
    skippedFiles: BigInt(counts.skippedFiles),
    skippedBytes: BigInt(counts.skippedBytes),
    chunksRefetched: BigInt(counts.chunksRefetched),
    removedSources: BigInt(counts.removedSources),
    resumedFiles: BigInt(counts.resumedFiles),
    resumedBytes: BigInt(counts.resumedBytes),
    redoneFiles: BigInt(counts.redoneFiles),
  };
}

const NS_PER_MS = 1_000_000;

function networkFields(reporter: Reporter, rate: { bytesPerSecond: number; limitBytesPerSecond: number }) {
  const lanes = reporter.lanes;
  const path = summarizeLanes(lanes);
  const atLimit = isAtLimit(rate.bytesPerSecond, rate.limitBytesPerSecond);
  return {
    transport: reporter.transportName,
    rttMs: path.smoothedRttNs / NS_PER_MS,
    minRttMs: path.minRttNs / NS_PER_MS,
    lossRate: path.lossRate,
    // Within one machine there is no wire: what was copied.
    bytesSent: BigInt(Math.round(lanes.length > 0 ? reporter.bytesSent : reporter.broughtBytes)),
    retransmittedBytes: BigInt(Math.round(path.bytesRetransmitted)),
    limitedBy: atLimit ? "limit" : longest(reporter.limitTimes),
    paths: lanes.map(sampleToWire),
  };
}

/** "partial" says that something is at the destination; where nothing is, the transfer has failed. */
export function finalState(state: State, { counts, errors }: { counts: Counts; errors: number }): State {
  if (state === "aborted" || state === "failed") return state;
  if (errors === 0 && counts.failedFiles === 0) return state;
  const arrived = counts.files + counts.skippedFiles + counts.symlinks;
  return arrived > 0 ? "partial" : "failed";
}

function dryRunState(state: State, errors: number): State {
  return state === "done" && errors > 0 ? "partial" : state;
}

/** The state of a transfer that ended with an error. */
export function stateOf(cause: unknown): State {
  return PbError.from(cause).code === "aborted" ? "aborted" : "failed";
}
