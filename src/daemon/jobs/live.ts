import type { Progress, StartResponse } from "../../gen/packetboat/v1/transfer_pb.ts";
import type { Checkpoint, CheckpointStats } from "../../model/checkpoint.ts";
import { PbError } from "../../model/error.ts";
import { EventQueue } from "../../run/event-queue.ts";

/** Why a job of this process is to stop. */
export type Intent = "pause" | "cancel";

/** A job that this process runs: who watches it, and what it is told. */
export class LiveJob {
  readonly id: string;
  readonly #stop = new AbortController();
  readonly #watchers = new Set<EventQueue<StartResponse>>();
  readonly #ended: Promise<void>;
  #markEnded = () => {};
  #isOver = false;
  #intent: Intent | undefined;
  #progress: Progress | undefined;
  #checkpoint: Checkpoint | undefined;

  constructor(id: string) {
    this.id = id;
    this.#ended = new Promise((resolve) => {
      this.#markEnded = resolve;
    });
  }

  /** Aborted when the job is to stop. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get intent(): Intent | undefined {
    return this.#intent;
  }

  get progress(): Progress | undefined {
    return this.#progress;
  }

  get checkpointStats(): CheckpointStats | undefined {
    return this.#checkpoint?.stats();
  }

  /** The one that is open now; each attempt has its own. */
  keeps(checkpoint: Checkpoint): Checkpoint {
    this.#checkpoint = checkpoint;
    return checkpoint;
  }

  publish(event: StartResponse): void {
    if (event.event.case === "progress") this.#progress = event.event.value;
    for (const watcher of this.#watchers) watcher.push(event);
  }

  /** From now on; ends with the job. */
  async *watch(): AsyncGenerator<StartResponse> {
    const queue = new EventQueue<StartResponse>(
      (newer, waiting) => newer.event.case === "progress" && waiting.event.case === "progress",
    );
    // Whoever comes while the job's socket closes has missed the end.
    if (this.#isOver) queue.end();
    this.#watchers.add(queue);
    try {
      yield* queue;
    } finally {
      this.#watchers.delete(queue);
    }
  }

  /** Resolves when the job has ended and is recorded. The first word counts. */
  async stop(intent: Intent): Promise<void> {
    this.#intent ??= intent;
    this.#stop.abort(new PbError("aborted", intent === "pause" ? "paused" : "cancelled"));
    await this.#ended;
  }

  /** Stops the job for a reason that is nobody's wish. */
  fail(reason: PbError): void {
    this.#stop.abort(reason);
  }

  end(): void {
    this.#isOver = true;
    for (const watcher of this.#watchers) watcher.end();
    this.#markEnded();
  }
}
