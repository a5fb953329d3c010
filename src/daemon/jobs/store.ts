/**
 * The jobs of a PB_HOME, a folder each (docs/design/0004-checkpoints.md):
 *
 *   jobs/ID/job.json      what was asked for; its folder gets its name when it is whole
 *   jobs/ID/run-N         who runs it for the Nth time: made by exactly one process
 *   jobs/ID/state         how far it is; replaced whole
 *   jobs/ID/receipt.json  of the last run that ended
 *   jobs/ID/checkpoint/   what is durable, where this machine receives
 *   jobs/ID/socket        of the process that runs it
 */

import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, readdir, rename, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import {
  createFile,
  ensurePrivateFolder,
  fileError,
  readText,
  replaceFile,
  syncFolder,
} from "../../credential/files.ts";
import { type Receipt, ReceiptSchema } from "../../gen/packetboat/v1/transfer_pb.ts";
import { errnoOf } from "../../model/errno.ts";
import { PbError } from "../../model/error.ts";
import { isJobId } from "../../model/job-id.ts";
import { isAlive, ownProcess, type ProcessIdentity } from "./process.ts";
import {
  type JobRecord,
  type JobState,
  type RunRecord,
  readJob,
  readOutline,
  readRun,
  readState,
  readStateOutline,
  type StateRecord,
  writeJob,
  writeRun,
  writeState,
} from "./record.ts";

/** A job as its folder shows it. */
export interface StoredJob {
  readonly record: JobRecord;
  readonly state: StateRecord;
  /** "interrupted": its process went without a word. */
  readonly status: JobState | "interrupted";
  /** The last run, 0 when there was none. */
  readonly run: number;
  /** Who runs it now. */
  readonly pid: number | undefined;
}

export interface JobListing {
  /** Newest first. */
  readonly jobs: readonly StoredJob[];
  /** Folders that could not be read. */
  readonly damaged: readonly { readonly id: string; readonly error: PbError }[];
}

/** What there is before a job begins. */
export interface JobSurvey {
  /** Of the fingerprint that was asked for, those that can go on, newest first; without what can't be read. */
  readonly unfinished: readonly StoredJob[];
  /** Of it, too: the ids of those that are at work now. */
  readonly running: readonly string[];
  /** The highest of all jobs, 0 when there is none. */
  readonly lastSequence: number;
}

export type NewJob = Omit<JobRecord, "id" | "sequence" | "createdAt">;

export interface JobStore {
  readonly folder: string;
  /** The folder of one job. */
  at(id: string): string;
  /** Durable, in state "queued", when it returns. `survey`: one just made, so that none is made here. */
  create(job: NewJob, survey?: JobSurvey): Promise<StoredJob>;
  list(): Promise<JobListing>;
  /** Before each transfer, so of other jobs no more is read than must be. */
  survey(fingerprint: string): Promise<JobSurvey>;
  /** When each job's state was last written, ms since 1970. */
  stateTimes(): Promise<readonly number[]>;
  /** By id, a prefix that only one job has, or a label that only one has. @throws PbError `not_found`, `invalid_argument` */
  find(text: string): Promise<StoredJob>;
  /** @throws PbError `not_found`, `corrupt_checkpoint`, `unsupported_version` */
  read(id: string): Promise<StoredJob>;
  /** Makes this process the one that runs the job. @throws PbError `exists` when one does already */
  claim(job: StoredJob): Promise<RunRecord>;
  setState(id: string, state: StateRecord): Promise<void>;
  setReceipt(id: string, receipt: Receipt): Promise<void>;
  receipt(id: string): Promise<Receipt | undefined>;
  remove(id: string): Promise<void>;
  /** Removes what killed processes left of jobs that they were making, or removing. @param nowMs since 1970 */
  sweep(nowMs: number): Promise<void>;
}

/** What is not over, runs in no process, and did begin. */
export const UNFINISHED: ReadonlySet<StoredJob["status"]> = new Set(["interrupted", "paused", "failed"]);

/** Of a job that is being made its folder has its name within moments. */
const MAKING_MS = 3_600_000;

const RUN = /^run-(\d{1,9})$/;

export function openJobs(home: string): JobStore {
  const folder = join(home, "jobs");
  const at = (id: string) => join(folder, id);

  async function ids(): Promise<string[]> {
    try {
      return (await readdir(folder)).filter(isJobId);
    } catch (cause) {
      if (errnoOf(cause) === "ENOENT") return [];
      throw fileError(cause, folder);
    }
  }

  async function list(): Promise<JobListing> {
    const jobs: StoredJob[] = [];
    const damaged: { id: string; error: PbError }[] = [];
    for (const id of await ids()) {
      try {
        jobs.push(readStored(at(id)));
      } catch (cause) {
        const error = PbError.from(cause);
        // Another process may just have removed it.
        if (error.code !== "not_found") damaged.push({ id, error });
      }
    }
    return { jobs: jobs.sort(newestFirst), damaged };
  }

  async function survey(fingerprint: string): Promise<JobSurvey> {
    const unfinished: StoredJob[] = [];
    const running: string[] = [];
    let lastSequence = 0;
    for (const id of await ids()) {
      try {
        const file = join(at(id), "job.json");
        const outline = readOutline(readFileSync(file, "utf8"), file);
        lastSequence = Math.max(lastSequence, outline.sequence);
        if (outline.fingerprint !== fingerprint) continue;
        const { status } = statusIn(at(id), outlineOfState(at(id)));
        if (status === "running") running.push(id);
        if (!UNFINISHED.has(status)) continue;
        unfinished.push(readStored(at(id)));
      } catch (cause) {
        // Just removed, or damaged: nothing to go on with.
        if (!(cause instanceof PbError) && errnoOf(cause) === undefined) throw cause;
      }
    }
    return { unfinished: unfinished.sort(newestFirst), running, lastSequence };
  }

  const store: JobStore = {
    folder,
    at,
    list,
    survey,
    read: async (id) => readStored(at(id)),

    async stateTimes() {
      const times = (await ids()).map((id) => statSync(join(at(id), "state"), { throwIfNoEntry: false }));
      return times.flatMap((found) => (found ? [found.mtimeMs] : []));
    },

    async create(job, known) {
      await ensurePrivateFolder(home);
      await ensurePrivateFolder(folder);
      const { lastSequence } = known ?? (await survey(job.fingerprint));
      const now = new Date().toISOString();
      const sequence = 1 + lastSequence;
      const record: JobRecord = { ...job, id: randomUUID(), sequence, createdAt: now };
      const state: StateRecord = { state: "queued", run: 0, changedAt: now };
      await writeFolder(folder, record, state);
      return { record, state, status: "queued", run: 0, pid: undefined };
    },

    async find(text) {
      const all = await ids();
      const [found, ...others] = text === "" ? [] : all.filter((id) => id.startsWith(text));
      if (found !== undefined && others.length === 0) return readStored(at(found));
      if (found !== undefined) throw ambiguous(text, others.length + 1);
      const labelled = (await list()).jobs.filter(({ record }) => record.label === text && text !== "");
      const [job] = labelled;
      if (labelled.length > 1) throw ambiguous(text, labelled.length);
      if (job) return job;
      throw new PbError("not_found", `there is no job ${text}`, {
        hint: "pb jobs list shows those there are",
      });
    },

    async claim(job) {
      if (job.status === "running") throw running(job.record.id);
      const own = ownProcess();
      const run = job.run + 1;
      const mine = await createFile(join(at(job.record.id), `run-${run}`), writeRun(own));
      if (!mine) throw running(job.record.id);
      // The one before stays: somebody may be reading it.
      await unlink(join(at(job.record.id), `run-${job.run - 1}`)).catch(() => undefined);
      return { ...own, run };
    },

    setState: (id, state) => replaceFile(join(at(id), "state"), writeState(state)),
    setReceipt: (id, receipt) =>
      replaceFile(join(at(id), "receipt.json"), `${toJsonString(ReceiptSchema, receipt)}\n`),

    async receipt(id) {
      try {
        const text = await readText(join(at(id), "receipt.json"));
        return fromJsonString(ReceiptSchema, text, { ignoreUnknownFields: true });
      } catch {
        // None yet, or one that a later version wrote: the state says how it went.
        return undefined;
      }
    },

    async remove(id) {
      // Its name goes first: what is half removed is nobody's job.
      const gone = join(folder, `.${id}.gone`);
      try {
        await rename(at(id), gone);
        await rm(gone, { recursive: true, force: true });
      } catch (cause) {
        if (errnoOf(cause) !== "ENOENT") throw fileError(cause, at(id));
      }
    },

    async sweep(nowMs) {
      for (const name of await readdir(folder)) {
        const [, id = "", what] = /^\.(.+)\.(new|gone)$/.exec(name) ?? [];
        const path = join(folder, name);
        const { mtimeMs = 0 } = (isJobId(id) && statSync(path, { throwIfNoEntry: false })) || {};
        if (mtimeMs > 0 && (what === "gone" || nowMs - mtimeMs > MAKING_MS))
          await rm(path, { recursive: true, force: true });
      }
    },
  };
  return store;
}

export function running(id: string): PbError {
  return new PbError("exists", `job ${id} runs already`, { hint: `pb jobs watch ${id.slice(0, 8)}` });
}

function ambiguous(text: string, count: number): PbError {
  return new PbError("invalid_argument", `${count} jobs fit ${text}`, { hint: "give more of the id" });
}

function newestFirst(a: StoredJob, b: StoredJob): number {
  return b.record.sequence - a.record.sequence || (a.record.id < b.record.id ? -1 : 1);
}

/** Whole and on disk before it has its name. */
async function writeFolder(folder: string, record: JobRecord, state: StateRecord): Promise<void> {
  const beside = join(folder, `.${record.id}.new`);
  try {
    await mkdir(beside, { mode: 0o700 });
    for (const [name, content] of [
      ["job.json", writeJob(record)],
      ["state", writeState(state)],
    ] as const) {
      await writeFile(join(beside, name), content, { mode: 0o600, flush: true });
    }
    await syncFolder(beside);
    await rename(beside, join(folder, record.id));
    await syncFolder(folder);
  } catch (cause) {
    await rm(beside, { recursive: true, force: true }).catch(() => undefined);
    throw fileError(cause, beside);
  }
}

/** Not awaited step by step: a thousand jobs are three thousand small files, and somebody waits for the list. */
function readStored(path: string): StoredJob {
  try {
    const file = (name: string) => join(path, name);
    const text = (name: string) => readFileSync(file(name), "utf8");
    const record = readJob(text("job.json"), file("job.json"));
    const state = readState(text("state"), file("state"));
    return { record, state, ...statusIn(path, state) };
  } catch (cause) {
    throw fileError(cause, path);
  }
}

type StateOutline = Pick<StateRecord, "state" | "run">;

function outlineOfState(path: string): StateOutline {
  const file = join(path, "state");
  return readStateOutline(readFileSync(file, "utf8"), file);
}

function statusIn(path: string, state: StateOutline): Pick<StoredJob, "status" | "run" | "pid"> {
  const run = Math.max(0, ...readdirSync(path).map((name) => Number(RUN.exec(name)?.[1] ?? 0)));
  // Of what is over nobody asks who ran it: in the records of a month it is all of them.
  const mayRun = run > 0 && (run > state.run || state.state === "running");
  const runner = mayRun ? readRunOf(path, run) : undefined;
  const pid = runner && isAlive(runner) ? runner.pid : undefined;
  const status = statusOf(state, { run, pid });
  return { status, run, pid: status === "running" ? pid : undefined };
}

function readRunOf(path: string, run: number): ProcessIdentity {
  const file = join(path, `run-${run}`);
  return readRun(readFileSync(file, "utf8"), file);
}

/** A process that ends its job writes the state last, and may live on. */
function statusOf(
  state: Pick<StateRecord, "state" | "run">,
  { run, pid }: Pick<StoredJob, "run" | "pid">,
): StoredJob["status"] {
  if (run > state.run) return pid === undefined ? "interrupted" : "running";
  return state.state === "running" && pid === undefined ? "interrupted" : state.state;
}
