import { create } from "@bufbuild/protobuf";
import {
  NoticeSchema,
  type Progress,
  type Receipt,
  type StartResponse,
} from "../../gen/packetboat/v1/transfer_pb.ts";
import { PbError } from "../../model/error.ts";
import { pathText } from "../../model/path.ts";
import { EVENT } from "../../model/trace.ts";
import type { LaneSample, NativeSession } from "../../native/types.ts";
import type { TransferRequest } from "../request.ts";
import { TraceFile } from "./file.ts";
import { LaneEvents } from "./lane-events.ts";
import { Pace } from "./pace.ts";

/** What lanes tell is fetched and written so often: far from the 16,384 events that a session keeps. */
const FETCH_MS = 250;
const NS_PER_MS = 1e6;

/** What a strategy tells of what it opened. */
export interface Trace {
  /** A session of this process that was opened with `trace`. */
  watch(session: Pick<NativeSession, "takeTrace">): void;
  /** The lanes as the other side sees them. */
  farLanes(lanes: readonly LaneSample[]): void;
}

/** Writes a transfer's trace while it runs. A trace that cannot be written is a notice, never the transfer's end. */
export class Tracer implements Trace {
  readonly #file: TraceFile;
  /** CLOCK_MONOTONIC, ms. */
  readonly #startedMs = monotonicMs();
  readonly #pace = new Pace();
  readonly #near: LaneEvents;
  readonly #far: LaneEvents;
  readonly #timer: NodeJS.Timeout;
  readonly #sessions: { readonly session: Pick<NativeSession, "takeTrace">; dropped: number }[] = [];
  #writing: Promise<void> = Promise.resolve();
  #failure: PbError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(file: TraceFile) {
    this.#file = file;
    const add = file.add.bind(file);
    this.#near = new LaneEvents({ vantage: "client", pace: this.#pace, add });
    this.#far = new LaneEvents({ vantage: "server", pace: this.#pace, add });
    this.#timer = setInterval(() => this.#write(), FETCH_MS);
    this.#timer.unref();
  }

  /** @throws PbError `io_error` naming the file */
  static async open(path: string, request: TransferRequest): Promise<Tracer> {
    const { jobId, sources, destination, options } = request;
    const source = sources.map(({ label }) => label).join(" ");
    const title = `pb transfer ${source} ${destination.label}`;
    const tracer = new Tracer(await TraceFile.create(path, { title, startedAt: new Date() }));
    const { transport, lanes, controller, seal, limitBytesPerSecond } = options;
    tracer.#event(EVENT.jobStarted, {
      job_id: jobId,
      source,
      destination: destination.label,
      options: { transport, lanes, controller, seal, limit_bytes_per_second: limitBytesPerSecond },
    });
    return tracer;
  }

  watch(session: Pick<NativeSession, "takeTrace">): void {
    this.#sessions.push({ session, dropped: 0 });
  }

  farLanes(lanes: readonly LaneSample[]): void {
    const ms = this.#nowMs();
    for (const lane of lanes) this.#far.sample(ms, lane);
  }

  /** An event of the transfer, on its way to whoever asked for it. */
  take({ event }: StartResponse): void {
    if (event.case === "error") {
      const { code, message, path } = event.value;
      this.#event(EVENT.error, { code, message, path: pathText(path) });
    } else if (event.case === "notice") {
      this.#event(EVENT.notice, { code: event.value.code, message: event.value.message });
    } else if (event.case === "progress" && this.#pace.takes("job", this.#nowMs())) {
      this.#event(EVENT.jobUpdated, updated(event.value));
    }
  }

  /** The transfer has failed and has no receipt. */
  failed({ code, message, path = "" }: PbError): void {
    this.#event(EVENT.error, { code, message, path });
  }

  /** Ends the trace with the receipt, which hears of it if the trace is not whole. */
  async finish(receipt: Receipt): Promise<void> {
    this.#event(EVENT.jobEnded, ended(receipt));
    await this.close();
    if (this.#failure) {
      const { message } = this.#failure;
      receipt.notices.push(create(NoticeSchema, { code: "trace-failed", message }));
    }
  }

  /** Writes what is left. Idempotent; does not throw. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#fetch();
    this.#near.end();
    this.#far.end();
    this.#write();
    await this.#writing;
    await this.#file.close().catch((cause: unknown) => this.#broken(cause));
  }

  #write(): void {
    this.#fetch();
    this.#writing = this.#writing
      .then(() => this.#file.flush())
      .catch((cause: unknown) => this.#broken(cause));
  }

  #fetch(): void {
    for (const watched of this.#sessions) {
      const { events, dropped } = watched.session.takeTrace();
      for (const { atNs, lane, what } of events) this.#near.take(this.#since(atNs / NS_PER_MS), lane, what);
      if (dropped > watched.dropped) this.#event(EVENT.dropped, { events: dropped - watched.dropped });
      watched.dropped = dropped;
    }
  }

  #broken(cause: unknown): void {
    const { path } = this.#file;
    this.#file.discard();
    this.#failure ??= new PbError("io_error", `the trace ${path} is not whole: ${(cause as Error).message}`, {
      path,
      cause,
    });
  }

  #event(name: string, data: Record<string, unknown>): void {
    this.#file.add({ time: Math.round(this.#nowMs() * 1_000) / 1_000, name, data });
  }

  #nowMs(): number {
    return this.#since(monotonicMs());
  }

  #since(ms: number): number {
    return Math.max(0, ms - this.#startedMs);
  }
}

function updated({ bytes, totalBytes, files, transport, limitedBy }: Progress): Record<string, unknown> {
  return {
    bytes: Number(bytes),
    total_bytes: Number(totalBytes),
    files: Number(files),
    transport,
    limited_by: limitedBy,
  };
}

function ended({ state, bytes, files, seconds, transport, limitedBy }: Receipt): Record<string, unknown> {
  return { state, bytes: Number(bytes), files: Number(files), seconds, transport, limited_by: limitedBy };
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS;
}
