import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type StartResponse, StartResponseSchema } from "../gen/packetboat/v1/transfer_pb.ts";
import type { CheckpointStats } from "../model/checkpoint.ts";
import { Metrics } from "./metrics.ts";

const event = (init: MessageInitShape<typeof StartResponseSchema>["event"]): StartResponse =>
  create(StartResponseSchema, init === undefined ? {} : { event: init });

async function* of(...events: StartResponse[]): AsyncGenerator<StartResponse> {
  yield* events;
}

async function drain(events: AsyncIterable<StartResponse>): Promise<number> {
  let count = 0;
  for await (const _ of events) count += 1;
  return count;
}

describe("Metrics", () => {
  it("counts an ended job by its receipt, its errors and notices by code", async () => {
    const metrics = new Metrics();
    const passed = await drain(
      metrics.observe(
        "a",
        of(
          event({ case: "progress", value: { bytes: 5n, files: 1n } }),
          event({ case: "error", value: { code: "no_space" } }),
          event({ case: "error", value: { code: "no_space" } }),
          event({ case: "notice", value: { code: "fallback-tcp" } }),
          event({
            case: "receipt",
            value: { state: "partial", bytes: 9n, files: 2n, seconds: 2, retransmittedBytes: 3n },
          }),
        ),
      ),
    );
    expect(passed).toBe(5);
    expect(metrics.snapshot()).toMatchObject({
      jobsStarted: 1,
      jobsRunning: 0,
      jobsEnded: { done: 0, partial: 1, failed: 0, aborted: 0 },
      bytes: 9,
      files: 2,
      retransmittedBytes: 3,
      errors: { no_space: 2 },
      notices: { "fallback-tcp": 1 },
      seconds: 2,
    });
    const { durations } = metrics.snapshot();
    expect(durations.map(({ jobs }) => jobs)).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
  });

  it("shows how the checkpoints of running jobs keep up", () => {
    const metrics = new Metrics();
    const stats = { queuedBatches: 2 } as CheckpointStats;
    const stop = metrics.watchCheckpoint(() => stats);
    const stopOther = metrics.watchCheckpoint(() => undefined);
    expect(metrics.snapshot().checkpoints).toEqual([stats]);
    stop();
    stopOther();
    expect(metrics.snapshot().checkpoints).toEqual([]);
  });

  it("counts running jobs, and those that end without a receipt as failed", async () => {
    const metrics = new Metrics();
    const running = metrics.observe("b", of(event({ case: "progress", value: { bytes: 7n, files: 1n } })));
    await running.next();
    expect(metrics.snapshot()).toMatchObject({ jobsRunning: 1, bytes: 7, files: 1 });
    await running.next();
    expect(metrics.snapshot()).toMatchObject({ jobsRunning: 0, bytes: 7, jobsEnded: { failed: 1 } });
    const left = metrics.observe("c", of(event({ case: "progress", value: {} })));
    await left.next();
    await left.return(undefined);
    expect(metrics.snapshot()).toMatchObject({ jobsStarted: 2, jobsEnded: { failed: 2 } });
  });
});
