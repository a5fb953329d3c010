/**
 * Who runs where. A kernel that does not preempt itself (PREEMPT_NONE, as servers have it) keeps the emulator waiting for as
 * long as a host's TCP works through its losses, if both are on one core: so emulated links have cores that the hosts' receive
 * threads keep away from. Programs in the hosts may run anywhere; the emulator goes before them.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";

/** Of the kernel's threads for the interfaces of a lab's hosts (plan.ts: `l0`, `l1`, …). */
const RECEIVE_THREAD = /^napi\/l\d+-/;
/** In a host without such threads, receiving is a softirq and goes before all programs, too. */
const RECEIVE_NICE = -20;

/** CPUs that this process may use, from a list as in /proc/PID/status: "0-2,5". */
export function parseCpuList(text: string): readonly number[] {
  return text
    .trim()
    .split(",")
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [from = 0, to = from] = part.split("-").map(Number);
      return Array.from({ length: to - from + 1 }, (_, at) => from + at);
    });
}

export interface Cores {
  readonly emulators: readonly number[];
  readonly receivers: readonly number[];
}

/** The upper half for the emulators, the lower for what receives. Undefined: one CPU, nothing to choose. */
export function divide(cpus: readonly number[]): Cores | undefined {
  if (cpus.length < 2) return undefined;
  const middle = Math.ceil(cpus.length / 2);
  return { receivers: cpus.slice(0, middle), emulators: cpus.slice(middle) };
}

export function cores(): Cores | undefined {
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  return divide(parseCpuList(allowed));
}

/** What to run for a command to stay on the core of the n-th emulator. */
export function onEmulatorCore(index: number, file: string, args: readonly string[]) {
  const found = cores()?.emulators;
  if (found === undefined) return { file, args };
  return { file: "taskset", args: ["-c", String(found[index % found.length]), file, ...args] };
}

/** Moves the receive threads of all labs' hosts to their cores, before programs. A refusal costs punctuality only. */
export function placeReceivers(): void {
  const list = cores()?.receivers.join(",");
  for (const pid of receiveThreads()) {
    if (list !== undefined) spawnSync("taskset", ["-pc", list, String(pid)]);
    try {
      setPriority(pid, RECEIVE_NICE);
    } catch {
      // Gone with its lab.
    }
  }
}

function receiveThreads(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return RECEIVE_THREAD.test(readFileSync(`/proc/${pid}/comm`, "utf8"));
      } catch {
        return false; // The process has ended.
      }
    })
    .map(Number);
}
