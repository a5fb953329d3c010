import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  type Progress,
  ProgressSchema,
  type StartRequest,
  StartRequestSchema,
} from "../../gen/packetboat/v1/transfer_pb.ts";
import { type ErrorInfo, ErrorInfoSchema } from "../../gen/packetboat/v1/types_pb.ts";
import { PbError } from "../../model/error.ts";
import type { Target } from "../../run/target.ts";
import type { ProcessIdentity } from "./process.ts";

/** Of job.json, run-N and state. Raised when an older version would misread them. */
const FORMAT = 1;

/** What was asked for; written once. */
export interface JobRecord {
  readonly id: string;
  /** Rises from job to job: the order in which they were made, whatever the clock says. */
  readonly sequence: number;
  readonly fingerprint: string;
  readonly label: string;
  /** As the user would write them. */
  readonly source: string;
  readonly destination: string;
  readonly resumable: boolean;
  /** ISO 8601. For people only. */
  readonly createdAt: string;
  readonly request: StartRequest;
}

export const JOB_STATES = ["queued", "running", "paused", "done", "partial", "failed", "cancelled"] as const;
/** What a job's file says. "running" without its process is shown as "interrupted". */
export type JobState = (typeof JOB_STATES)[number];

/** How far a job is; replaced as a whole at each change. */
export interface StateRecord {
  readonly state: JobState;
  /** The run that wrote this. */
  readonly run: number;
  /** ISO 8601. For people only. */
  readonly changedAt: string;
  /** Set by the first run that began. */
  readonly begun?: Begun;
  /** A run was killed where it received, or stopped while it wrote to a remote: it may have left temporary names that no checkpoint knows. */
  readonly strays?: boolean;
  readonly progress?: Progress;
  readonly error?: ErrorInfo;
}

/** What the first run found and settled; the later ones go by it. */
export interface Begun {
  /** Was the destination a folder before? A later run must not take it for one that was always there. */
  readonly intoExisting: boolean;
  /** Where the job writes. */
  readonly target: Target;
}

/** Who runs a job for the `run`th time. */
export interface RunRecord extends ProcessIdentity {
  readonly run: number;
}

export function writeJob(record: JobRecord): string {
  return text({ ...record, request: toJson(StartRequestSchema, record.request) });
}

/** @throws PbError `unsupported_version`, `corrupt_checkpoint` naming the file */
export function readJob(content: string, file: string): JobRecord {
  const { request, ...rest } = parse(content, file);
  const { id, sequence, fingerprint, label, source, destination, resumable, createdAt } = rest;
  const strings = [id, fingerprint, label, source, destination, createdAt];
  const sound = strings.every((each) => typeof each === "string") && Number.isSafeInteger(sequence);
  if (!sound || typeof resumable !== "boolean") throw damaged(file);
  try {
    const asked = fromJson(StartRequestSchema, request as JsonValue, { ignoreUnknownFields: true });
    return { ...(rest as unknown as Omit<JobRecord, "request">), request: asked };
  } catch (cause) {
    throw damaged(file, cause);
  }
}

/** Of a job, what another must know to begin. */
export type JobOutline = Pick<JobRecord, "sequence" | "fingerprint">;

/** @throws PbError `unsupported_version`, `corrupt_checkpoint` naming the file */
export function readOutline(content: string, file: string): JobOutline {
  const { sequence, fingerprint } = parse(content, file);
  if (!Number.isSafeInteger(sequence) || typeof fingerprint !== "string") throw damaged(file);
  return { sequence: sequence as number, fingerprint };
}

export function writeState({ progress, error, ...rest }: StateRecord): string {
  return text({
    ...rest,
    ...(progress && { progress: toJson(ProgressSchema, { ...progress, lanes: [] }) }),
    ...(error && { error: toJson(ErrorInfoSchema, error) }),
  });
}

/** @throws PbError `unsupported_version`, `corrupt_checkpoint` naming the file */
export function readStateOutline(content: string, file: string): Pick<StateRecord, "state" | "run"> {
  return stateOutline(parse(content, file), file);
}

function stateOutline({ state, run }: Record<string, unknown>, file: string) {
  const known = JOB_STATES.find((each) => each === state);
  if (!known || !Number.isSafeInteger(run)) throw damaged(file);
  return { state: known, run: run as number };
}

/** @throws PbError `unsupported_version`, `corrupt_checkpoint` naming the file */
export function readState(content: string, file: string): StateRecord {
  const parsed = parse(content, file);
  const { progress, error, changedAt, begun, strays } = parsed;
  if (typeof changedAt !== "string") throw damaged(file);
  const lenient = { ignoreUnknownFields: true };
  try {
    return {
      ...stateOutline(parsed, file),
      changedAt,
      ...(strays === true && { strays }),
      ...(begun !== undefined && { begun: readBegun(begun, file) }),
      ...(progress !== undefined && { progress: fromJson(ProgressSchema, progress as JsonValue, lenient) }),
      ...(error !== undefined && { error: fromJson(ErrorInfoSchema, error as JsonValue, lenient) }),
    };
  } catch (cause) {
    throw damaged(file, cause);
  }
}

function readBegun(value: unknown, file: string): Begun {
  const { intoExisting, target } = (value ?? {}) as Partial<Begun>;
  const sound = typeof intoExisting === "boolean" && typeof target?.path === "string";
  if (!sound || typeof target.exactName !== "boolean") throw damaged(file);
  return { intoExisting, target };
}

export function writeRun(identity: ProcessIdentity): string {
  return text({ ...identity });
}

/** @throws PbError `unsupported_version`, `corrupt_checkpoint` naming the file */
export function readRun(content: string, file: string): ProcessIdentity {
  const { pid, startTicks, bootId } = parse(content, file);
  if (!Number.isSafeInteger(pid) || !Number.isSafeInteger(startTicks) || typeof bootId !== "string") {
    throw damaged(file);
  }
  return { pid: pid as number, startTicks: startTicks as number, bootId };
}

function text(value: object): string {
  return `${JSON.stringify({ format: FORMAT, ...value }, undefined, 1)}\n`;
}

function parse(content: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (cause) {
    throw damaged(file, cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged(file);
  const { format, ...rest } = value as Record<string, unknown>;
  if (format === FORMAT) return rest;
  if (typeof format !== "number") throw damaged(file);
  throw new PbError("unsupported_version", `${file} has format ${format}; this pb knows ${FORMAT}`, {
    path: file,
    hint: "use the version of pb that wrote it, or forget the job: pb jobs forget ID",
  });
}

function damaged(file: string, cause?: unknown): PbError {
  return new PbError("corrupt_checkpoint", `${file} is damaged`, {
    path: file,
    hint: "pb jobs forget ID removes the job; the same transfer given again begins a new one",
    ...(cause !== undefined && { cause }),
  });
}
