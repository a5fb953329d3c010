/** A receiving job and its checkpoint: what the engine says is durable is recorded, and then confirmed to it. */

import { randomBytes } from "node:crypto";
import {
  type Checkpoint,
  type CheckpointBatch,
  FILE_KEY_BYTES,
  type PartRecord,
} from "../model/checkpoint.ts";
import { PbError } from "../model/error.ts";
import type { JobResult, ReceiveCheckpoint, ReceiveJob } from "../native/types.ts";
import { pipeOf, type RunContext } from "./context.ts";
import { nameTag } from "./strays.ts";

/**
 * What may be lost by a crash of either side, and is sent again: 64 MiB or a second of a job, whichever is first
 * (docs/design/0004-checkpoints.md).
 */
const FLUSH_BYTES = 64 * 1024 * 1024;
const FLUSH_MS = 1_000;

/** A file server's clock, which says when a file was made, and this machine's. What was made then is compared before it counts. */
const CLOCK_SLACK_MS = 2_000;

/** A checkpoint and whose it is. */
export interface Kept {
  readonly checkpoint: Checkpoint;
  readonly jobId: string;
  /** The sources go when they have arrived. */
  readonly move: boolean;
}

/**
 * What is kept of the transfer where this process receives it; undefined where nothing is. Of a stream too: it can't be gone on with, but what it
 * leaves when it is killed is to be found.
 */
export async function openKept({ tools, request, reporter }: RunContext): Promise<Checkpoint | undefined> {
  const { backend, fd } = request.destination;
  const mayLeave = request.resumable || (pipeOf(request.resolved) !== undefined && !request.options.discard);
  if (!mayLeave || fd !== undefined || backend.native.kind === "session") return undefined;
  const { base, exactName } = request.targets;
  const checkpoint = await tools.openCheckpoint?.({ path: base, exactName });
  for (const note of checkpoint?.recovered.notes ?? []) {
    // A torn tail is what a crash leaves, and was never acknowledged.
    if (note.kind !== "torn_tail") reporter.notice(`checkpoint-${note.kind}`, note.message);
  }
  return checkpoint;
}

/** Records what a stream leaves at an endpoint, before its first byte goes there. */
export function keepLeft(checkpoint: Checkpoint): (path: string, leaves: Uint8Array) => Promise<void> {
  return (target, temporary) => {
    const part: PartRecord = {
      key: randomBytes(FILE_KEY_BYTES),
      target,
      size: -1,
      chunkBytes: 1,
      temporary,
      device: 0n,
      inode: 0n,
      birthNs: 0n,
      chunks: new Uint8Array(),
    };
    const batch = { number: 1, parts: [part], done: new Uint8Array(), gone: new Uint8Array() };
    return checkpoint.record(batch);
  };
}

/** What has ended for good is not kept; what failed goes on later. */
export async function endKept(checkpoint: Checkpoint | undefined, { state }: JobResult): Promise<void> {
  if (state === "done" || state === "partial") await checkpoint?.discard();
}

/** A job and, when what it says durable could not be kept, why. */
export interface KeptJob<J> {
  readonly job: J;
  readonly failure: () => PbError | undefined;
}

/** Starts a job with what its checkpoint holds. A batch that can't be kept ends the job: what it says durable must be. */
export function receiveKept<J extends Pick<ReceiveJob, "failFor" | "confirm">>(
  start: (checkpoint: ReceiveCheckpoint) => J,
  { checkpoint, jobId, move }: Kept,
): KeptJob<J> {
  let failure: PbError | undefined;
  const onBatch = (batch: CheckpointBatch) => {
    checkpoint.record(batch).then(
      () => job.confirm(batch.number),
      (cause: unknown) => {
        failure ??= PbError.from(cause, "io_error");
        job.failFor(failure);
        // Once more: no record that is still outstanding will come.
        job.failFor(failure);
      },
    );
  };
  const { parts, done, begunMs } = checkpoint.recovered;
  const job = start({
    parts,
    done,
    hashes: checkpoint.takeHashes(),
    flushBytes: FLUSH_BYTES,
    flushMs: FLUSH_MS,
    nameTag: nameTag(jobId),
    ...(move && begunMs !== undefined ? { placedSinceMs: begunMs - CLOCK_SLACK_MS } : {}),
    onBatch,
    onEnding: () => checkpoint.hurry(),
  });
  return { job, failure: () => failure };
}
