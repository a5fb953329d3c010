import { readFileSync } from "node:fs";

/** A process, so that another one that got its number later is not taken for it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from the boot to its start: field 22 of /proc/PID/stat (proc(5)). */
  readonly startTicks: number;
  /** Of the boot that the ticks count from. */
  readonly bootId: string;
}

export function ownProcess(): ProcessIdentity {
  return { pid: process.pid, startTicks: startTicksOf(process.pid) ?? 0, bootId: bootId() };
}

/** Does this very process still run? */
export function isAlive({ pid, startTicks, bootId: boot }: ProcessIdentity): boolean {
  return boot === bootId() && startTicksOf(pid) === startTicks;
}

/** Of this boot of this machine. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Undefined when there is no such process, or only what is left of one that has ended. */
function startTicksOf(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name, in parentheses, may hold anything; the fields behind it start with the state, field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19]);
}
