import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { exited, sleep, until } from "../../test/e2e/lib/process.ts";
import { allProcesses, family, highWaterBytes, listens, parseTimes } from "./proc.ts";

/** Where one end of a transfer runs. */
export interface Host {
  /** The other end reaches it here. */
  readonly address: string;
  /** A network namespace (`ip netns`); else this process's own. */
  readonly namespace?: string;
}

export interface SideOptions {
  readonly host: Host;
  /** The other end. */
  readonly other: Host;
  /** Its own, for logs. */
  readonly folder: string;
  /** Look at memory four times a second. */
  readonly watchMemory: boolean;
  /** Of each program that is waited for; SIGKILL for it and all it has started after that. Default: an hour. */
  readonly limitMs?: number;
}

/** A program was ended because it took longer than it may. */
export class Stopped extends Error {
  readonly afterSeconds: number;

  constructor(command: string, afterSeconds: number) {
    super(`${command}: stopped at ${afterSeconds} s`);
    this.afterSeconds = afterSeconds;
  }
}

interface Daemon {
  /** Set when the program is a daemon with a TCP port: it is ready when it listens. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
}

const BOOT_ID = "/proc/sys/kernel/random/boot_id";
const DEFAULT_LIMIT_MS = 3_600_000;
const READY_TIMEOUT_MS = 20_000;
const SAMPLE_EVERY_MS = 250;

/** Process groups that are alive, for `killAll`. */
const groups = new Set<number>();

/** SIGKILL for everything any side has started. */
export function killAll(): void {
  for (const group of groups) signal(group, "SIGKILL");
}

/** One end of one peer's transfers: starts its programs in its namespace and knows what they used. */
export class Side {
  readonly address: string;
  readonly #options: SideOptions;
  readonly #bootId = randomUUID();
  readonly #daemons: ChildProcess[] = [];
  readonly #running = new Set<number>();
  #finishedCpuSeconds = 0;
  #peakBytes = 0;
  #logs = 0;

  constructor(options: SideOptions) {
    this.address = options.host.address;
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
  }

  /** Runs to its end; an error when it exits with anything but 0. Returns its standard output. */
  async run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const log = this.#log();
    // The shell waits for it and says what it used, with all that it waited for in turn.
    const script = '"$@"; code=$?; times >"$0"; exit $code';
    const child = this.#spawn(log, ["sh", "-c", script, `${log}.times`, command, ...args], env);
    const pid = child.pid ?? 0;
    this.#running.add(pid);
    const limitMs = this.#options.limitMs ?? DEFAULT_LIMIT_MS;
    let stopped = false;
    const killer = setTimeout(() => {
      stopped = true;
      signal(pid, "SIGKILL");
    }, limitMs);
    const sampler = this.#options.watchMemory
      ? setInterval(() => this.#sampleMemory(), SAMPLE_EVERY_MS)
      : undefined;
    try {
      const [code] = await exited(child);
      if (stopped) throw new Stopped(command, limitMs / 1000);
      if (code !== 0) throw new Error(`${command}: exit ${code}\n${tail(`${log}.err`)}`);
      this.#finishedCpuSeconds += parseTimes(readFileSync(`${log}.times`, "utf8"));
      return readFileSync(`${log}.out`, "utf8");
    } finally {
      clearTimeout(killer);
      clearInterval(sampler);
      this.#running.delete(pid);
    }
  }

  /** Starts a server. Returns the first line of its standard output when it has no port to wait for. */
  async daemon(command: string, args: readonly string[], options: Daemon = {}): Promise<string> {
    const log = this.#log();
    const child = this.#spawn(log, [command, ...args], options.env ?? {}, options.port === undefined);
    this.#daemons.push(child);
    const said = () => `${tail(`${log}.out`)}${tail(`${log}.err`)}`;
    if (options.port === undefined) return firstLine(command, child, said);
    const { port } = options;
    await until(
      `${command} on port ${port}`,
      () => {
        if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}\n${said()}`);
        return listens(child.pid ?? 0, port);
      },
      READY_TIMEOUT_MS,
    );
    return "";
  }

  /** All CPU time its programs have used so far, user and system. Resolution: 10 ms per program. */
  cpuSeconds(): number {
    return this.#finishedCpuSeconds + this.#family().reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  }

  /** Processes of its servers that are alive. */
  processes(): number {
    return this.#family().length;
  }

  /** Until a server's processes for one connection are gone and their CPU time counts as their parent's. */
  async settle(processes: number): Promise<void> {
    for (let attempt = 0; attempt < 50 && this.processes() > processes; attempt += 1) await sleep(10);
    this.#sampleMemory();
  }

  /** High-water marks of all programs that ran at the same time, summed; what they share is counted for each. */
  peakBytes(): number {
    return this.#peakBytes;
  }

  async close(): Promise<void> {
    for (const child of this.#daemons.splice(0)) {
      const pid = child.pid ?? 0;
      signal(pid, "SIGTERM");
      const killer = setTimeout(() => signal(pid, "SIGKILL"), 10_000);
      await exited(child);
      clearTimeout(killer);
      signal(pid, "SIGKILL"); // What outlived its leader.
    }
  }

  #family() {
    const roots = new Set(this.#daemons.map(({ pid }) => pid ?? 0));
    return roots.size === 0 ? [] : family(roots, allProcesses());
  }

  #sampleMemory(): void {
    const roots = new Set([...this.#running, ...this.#daemons.map(({ pid }) => pid ?? 0)]);
    if (roots.size === 0) return;
    const bytes = family(roots, allProcesses()).reduce((sum, { pid }) => sum + highWaterBytes(pid), 0);
    this.#peakBytes = Math.max(this.#peakBytes, bytes);
  }

  #log(): string {
    this.#logs += 1;
    return join(this.#options.folder, String(this.#logs));
  }

  /**
   * What goes before a command to run it in the namespace. Some programs insist on a name for each address, which no
   * resolver in there gives: `ip netns exec` has made a mount namespace, in which /etc/hosts can be another. The kernel's boot
   * id is another as well: hosts of a network share none, and `pb` asks a server of its own machine more.
   */
  #inside(): string[] {
    const { host, other, folder } = this.#options;
    if (host.namespace === undefined) return [];
    const hosts = join(folder, "hosts");
    const names = [`${host.address} ${hostname()}`, `${other.address} other`];
    writeFileSync(hosts, ["127.0.0.1 localhost", ...names, ""].join("\n"));
    const bootId = join(folder, "boot-id");
    writeFileSync(bootId, `${this.#bootId}\n`);
    const script = `mount --bind "$0" /etc/hosts && mount --bind "$1" ${BOOT_ID} && shift && exec "$@"`;
    return ["ip", "netns", "exec", host.namespace, "sh", "-c", script, hosts, bootId];
  }

  /** In a process group of its own, so that all of it can be stopped by the leader's id. */
  #spawn(log: string, command: readonly string[], env: Readonly<Record<string, string>>, pipe = false) {
    const [file = "", ...args] = [...this.#inside(), ...command];
    const [out, err] = [openSync(`${log}.out`, "w"), openSync(`${log}.err`, "w")];
    const child = spawn(file, args, {
      detached: true,
      env: { ...process.env, NO_COLOR: "1", LC_ALL: "C", ...env },
      stdio: ["ignore", pipe ? "pipe" : out, err],
    });
    for (const descriptor of [out, err]) closeSync(descriptor);
    const { pid } = child;
    if (pid !== undefined) {
      groups.add(pid);
      child.once("close", () => groups.delete(pid));
    }
    return child;
  }
}

function firstLine(command: string, child: ChildProcess, said: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      signal(child.pid ?? 0, "SIGKILL");
      reject(new Error(`${command} ${why}\n${said()}`));
    };
    const timer = setTimeout(() => fail("said nothing"), READY_TIMEOUT_MS);
    const ended = () => fail(`ended with ${child.exitCode}`);
    child.once("error", reject);
    child.once("close", ended);
    if (child.stdout === null) return fail("has no standard output");
    createInterface({ input: child.stdout }).once("line", (line) => {
      clearTimeout(timer);
      child.off("close", ended);
      resolve(line);
    });
  });
}

function signal(group: number, name: NodeJS.Signals): void {
  if (group <= 0) return;
  try {
    process.kill(-group, name);
  } catch {
    // Nothing of it is alive.
  }
}

function tail(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(-2000);
  } catch {
    return "";
  }
}
