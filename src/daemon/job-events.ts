import { create } from "@bufbuild/protobuf";
import { type JobEvent, JobEventSchema } from "../gen/packetboat/v1/session_pb.ts";
import type { PbError } from "../model/error.ts";
import type { Accepts, JobResult, NativeSession, RedoneFile } from "../native/types.ts";
import { EventQueue } from "../run/event-queue.ts";
import type { FeedReport } from "../run/feed.ts";
import { errorToWire } from "../wire/error.ts";
import { redoneToWire } from "../wire/redone.ts";
import { sampleToWire } from "../wire/sample.ts";

/** The other side shows them ten times a second at most; it needs no more than this from here. */
const SAMPLES_MS = 1_000;
/** Errors of a listing beyond this are counted by the job alone. */
const MAX_ERRORS = 1_000;

/** What a far half says while it runs. */
export interface JobEvents extends AsyncIterable<JobEvent> {
  readonly report: FeedReport;
  /** Of a receiving job, with what it accepts. */
  ready(what?: { readonly accepts: Accepts; readonly rereads: boolean }): void;
  redone(files: readonly RedoneFile[]): void;
  done(result: JobResult): void;
  /** The call fails with this error. */
  fail(error: unknown): void;
}

const SUPERSEDED: ReadonlySet<string | undefined> = new Set(["listed", "samples"]);

export function jobEvents(session: NativeSession, told: (error: PbError) => PbError): JobEvents {
  const queue = new EventQueue<JobEvent>(
    ({ event }, waiting) => SUPERSEDED.has(event.case) && event.case === waiting.event.case,
  );
  const push = (event: JobEvent["event"]) => queue.push(create(JobEventSchema, { event }));
  // What came before this job in its session is not its own.
  push(samplesOf(session));
  const timer = setInterval(() => push(samplesOf(session)), SAMPLES_MS);
  timer.unref();
  let errors = 0;
  const end = (failure?: { readonly error: unknown }) => {
    clearInterval(timer);
    queue.end(failure);
  };
  return {
    report: {
      found: ({ files, bytes, done }) => {
        push(event("listed", { files: BigInt(files), bytes: BigInt(bytes), done }));
      },
      error(error) {
        errors += 1;
        if (errors <= MAX_ERRORS) push({ case: "error", value: errorToWire(told(error)) });
      },
      notice: (code, message) => push(event("notice", { code, message })),
    },
    ready: (what) => push(event("ready", what ?? {})),
    redone(files) {
      if (files.length > 0) push(event("redone", { files: files.map(redoneToWire) }));
    },
    done(result) {
      push(samplesOf(session));
      push(
        event("done", {
          files: BigInt(result.files),
          bytes: BigInt(result.bytes),
          failed: BigInt(result.failedFiles),
          removedSources: BigInt(result.removedSources),
          copied: session.takeCopied().map(({ step, bytes }) => ({ step, bytes: BigInt(bytes) })),
        }),
      );
      end();
    },
    fail: (error) => end({ error }),
    [Symbol.asyncIterator]: () => queue[Symbol.asyncIterator](),
  };
}

function samplesOf(session: NativeSession): JobEvent["event"] {
  return event("samples", { lanes: session.samples().map(sampleToWire) });
}

type Init = Parameters<typeof create<typeof JobEventSchema>>[1];
type Case = Exclude<JobEvent["event"]["case"], undefined>;

/** An event from plain fields. */
function event(name: Case, value: object): JobEvent["event"] {
  return create(JobEventSchema, { event: { case: name, value } } as Init).event;
}
