/** Which files a program opens. */
import { readFileSync } from "node:fs";

/** Before a command: its opens go to a file. Only they stop it (seccomp), so that a million others cost nothing. */
export function tracer(log: string): string[] {
  return [
    "strace",
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-e",
    "signal=none",
    "-e",
    "trace=open,openat,openat2",
    "-o",
    log,
  ];
}

/** What a tracer has started; it itself when it traces nothing. */
export function tracedBy(pid: number): number {
  const isTracer = readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "strace";
  const [child] = isTracer ? readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ") : [];
  return Number(child || pid);
}

/** Names of source files and of their copies that were opened, or tried; temporary names apart. O_PATH opens nothing: it is for stat. */
export function openedFiles(log: string): Set<string> {
  const opened = new Set<string>();
  for (const [, path = "", how = ""] of log.matchAll(/\bopen(?:at2?)?\((?:[^,"]*, )?"([^"]*)"(.*)/g)) {
    if (how.includes("O_PATH")) continue;
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (/^f\d+$/.test(name)) opened.add(name);
  }
  return opened;
}
