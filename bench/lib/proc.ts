/** What processes used, from /proc (proc(5)). */
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ: 100 on every architecture that Linux and Node share. */
const TICKS_PER_SECOND = 100;

export interface ProcessUse {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** User and system time of it and of the children that it has waited for. */
  readonly cpuSeconds: number;
}

/** One line of /proc/PID/stat; the name in it may hold spaces and parentheses. */
export function parseStat(line: string): ProcessUse {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
  return {
    pid: Number.parseInt(line, 10),
    parent: Number(fields[1]),
    group: Number(fields[2]),
    cpuSeconds: ticks / TICKS_PER_SECOND,
  };
}

/** The roots that are alive, what descends from them and what is in a process group that one of them leads. */
export function family(roots: ReadonlySet<number>, all: readonly ProcessUse[]): ProcessUse[] {
  const byPid = new Map(all.map((process) => [process.pid, process]));
  const belongs = (process: ProcessUse | undefined): boolean =>
    process !== undefined &&
    (roots.has(process.pid) || roots.has(process.group) || belongs(byPid.get(process.parent)));
  return all.filter(belongs);
}

export function allProcesses(): ProcessUse[] {
  const found: ProcessUse[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = readIfThere(`/proc/${name}/stat`);
    if (line !== undefined) found.push(parseStat(line));
  }
  return found;
}

/** The most memory that was ever resident, bytes; 0 when it is gone. */
export function highWaterBytes(pid: number): number {
  const status = readIfThere(`/proc/${pid}/status`) ?? "";
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Whether anything listens on the TCP port in the process's network namespace. */
export function listens(pid: number, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const listening = new RegExp(`:${hex} [0-9A-F]+:0000 0A `);
  return ["tcp", "tcp6"].some((table) => listening.test(readIfThere(`/proc/${pid}/net/${table}`) ?? ""));
}

/**
 * What the shell's `times` printed (POSIX): the second line is the user and system time of all children waited for.
 * @returns seconds
 */
export function parseTimes(text: string): number {
  const values = [...text.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, seconds]) => Number(minutes) * 60 + Number(seconds),
  );
  if (values.length !== 4) throw new Error(`not what a shell's times prints: ${JSON.stringify(text)}`);
  return (values[2] ?? 0) + (values[3] ?? 0);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // The process has ended.
  }
}
