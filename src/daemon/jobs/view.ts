import { create } from "@bufbuild/protobuf";
import {
  CheckpointStatsSchema,
  type Job,
  JobSchema,
  type CheckpointStats as WireStats,
} from "../../gen/packetboat/v1/job_pb.ts";
import type { Receipt } from "../../gen/packetboat/v1/transfer_pb.ts";
import { type CheckpointStats, LATENCY_BOUNDS_MS, type RecoveredCheckpoint } from "../../model/checkpoint.ts";
import type { PbError } from "../../model/error.ts";
import { errorToWire } from "../../wire/error.ts";
import type { LiveJob } from "./live.ts";
import type { StoredJob } from "./store.ts";

/** A job as the API shows it. */
export function jobView(
  { record, state, status, run, pid }: StoredJob,
  more: { readonly receipt?: Receipt | undefined; readonly live?: LiveJob | undefined } = {},
): Job {
  const { receipt, live } = more;
  const progress = live?.progress ?? state.progress;
  const stats = live?.checkpointStats;
  return create(JobSchema, {
    id: record.id,
    label: record.label,
    state: status,
    source: record.source,
    destination: record.destination,
    move: record.request.move,
    resumable: record.resumable,
    createdAt: record.createdAt,
    changedAt: state.changedAt,
    pid: pid ?? 0,
    runs: run,
    ...(progress && { progress }),
    ...(receipt && { receipt }),
    ...(state.error && { error: state.error }),
    ...(stats && { checkpoint: statsView(stats) }),
  });
}

/** A job whose record could not be read: it can still be forgotten. */
export function damagedView(id: string, error: PbError): Job {
  return create(JobSchema, { id, state: "damaged", error: errorToWire(error) });
}

/** What could be taken up. */
export function keptFields({ doneFiles, doneBytes, partBytes }: RecoveredCheckpoint) {
  return { keptFiles: BigInt(doneFiles), keptBytes: BigInt(doneBytes + partBytes) };
}

export function statsView(stats: CheckpointStats): WireStats {
  let count = 0;
  return create(CheckpointStatsSchema, {
    queueDepth: stats.queuedBatches + stats.queuedSnapshots,
    oldestUnflushedMs: BigInt(Math.round(Math.max(stats.oldestUnsyncedMs, stats.oldestUnflushedMs))),
    flushLatency: stats.recordLatency.map((flushes, at) => {
      count += flushes;
      return { atMostMs: LATENCY_BOUNDS_MS[at] ?? Number.POSITIVE_INFINITY, count: BigInt(count) };
    }),
    flushes: BigInt(stats.batches),
    bytesWritten: BigInt(stats.bytesWritten),
    fsyncs: BigInt(stats.syncs),
    bytesPerSecond: stats.bytesPerSecond,
    fsyncsPerSecond: stats.syncsPerSecond,
    workers: stats.flushWorkers,
  });
}
