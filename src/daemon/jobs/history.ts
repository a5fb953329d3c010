import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ageOf, stamp } from "../kept/age.ts";
import type { JobStore, StoredJob } from "./store.ts";

/** 30 days: what somebody may still ask about. */
export const DEFAULT_KEEP_MS = 30 * 86_400_000;
/** Also of those that are younger. */
const MAX_JOBS = 1_000;

/** With these a job is over. Most others can go on and stay until they do, or are forgotten. */
const OVER: ReadonlySet<StoredJob["status"]> = new Set(["done", "partial", "cancelled"]);
/** What failed can go on too, but is not waited for for ever. */
const EXPIRING: ReadonlySet<StoredJob["status"]> = new Set([...OVER, "failed", "queued"]);

export interface HistoryOptions {
  readonly keepMs: number;
  readonly nowMs: number;
  /** Removes a job that may have left something. */
  readonly forget: (job: StoredJob) => Promise<void>;
}

/** Forgets what is past its time, and the oldest of too many. Nothing that can go on is forgotten for its age alone. */
export async function expireJobs(store: JobStore, options: HistoryOptions): Promise<void> {
  const { keepMs, nowMs, forget } = options;
  await quietly(store.sweep(nowMs));
  const times = await store.stateTimes();
  // At the end of each transfer: nearly always there is nothing to do, and a thousand records take most of a second to read.
  const fresh = times.every((mtimeMs) => ageOf({ mtimeMs, nowMs, keepMs }) === "fresh");
  if (fresh && times.length <= MAX_JOBS) return;
  const { jobs } = await store.list();
  const kept: StoredJob[] = [];
  for (const job of jobs) {
    const file = join(store.at(job.record.id), "state");
    const found = canExpire(job) ? await stat(file).catch(() => undefined) : undefined;
    const age = found && ageOf({ mtimeMs: found.mtimeMs, nowMs, keepMs });
    if (age === "implausible") await stamp(file, new Date(nowMs));
    if (age === "expired") await quietly(forget(job));
    else kept.push(job);
  }
  const extra = kept.length - MAX_JOBS;
  if (extra <= 0) return;
  // Oldest first, those that are over before those that could go on.
  const oldest = kept.reverse().filter(({ status }) => status !== "running");
  const order = [
    ...oldest.filter((job) => OVER.has(job.status)),
    ...oldest.filter((job) => !OVER.has(job.status)),
  ];
  for (const job of order.slice(0, extra)) await quietly(forget(job));
}

/** A stream that was interrupted goes on with nothing. */
function canExpire({ status, record }: StoredJob): boolean {
  return EXPIRING.has(status) || (status === "interrupted" && !record.resumable);
}

/** A job that can't be forgotten now is so another time. */
async function quietly(work: Promise<void>): Promise<void> {
  await work.catch(() => undefined);
}
