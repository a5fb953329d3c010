/** A host of a lab: a network namespace and its addresses. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { inNamespace } from "./shell.ts";

export interface HostAddress {
  readonly link: string;
  /** The host at the other end of the link. */
  readonly peer: string;
  readonly address: string;
  readonly device: string;
}

export interface ExecResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** SIGKILL after this. Default: none. */
  readonly timeoutMs?: number;
  /** SIGKILL when aborted. */
  readonly signal?: AbortSignal;
}

export interface Host {
  readonly name: string;
  /** As `ip netns` knows it. */
  readonly namespace: string;
  /** One for each link, in the topology's order. */
  readonly addresses: readonly HostAddress[];
  /** Runs in the host to its end; a non-zero exit is a result, not an error. */
  exec(file: string, args?: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Starts in the host; what still runs when the lab closes is killed. */
  spawn(file: string, args: readonly string[], options: SpawnOptions): ChildProcess;
}

export function makeHost(name: string, namespace: string, addresses: readonly HostAddress[]): Host {
  const start: Host["spawn"] = (file, args, options) => {
    const inside = inNamespace(namespace, file, args);
    return spawn(inside.file, inside.args, options);
  };
  return {
    name,
    namespace,
    addresses,
    spawn: start,
    exec: (file, args = [], options = {}) => run(start, [file, ...args], options),
  };
}

async function run(
  start: Host["spawn"],
  words: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  options.signal?.throwIfAborted();
  const [file = "", ...args] = words;
  const child = start(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  const kill = () => child.kill("SIGKILL");
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(kill, options.timeoutMs);
  options.signal?.addEventListener("abort", kill, { once: true });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (data: Buffer) => out.push(data));
  child.stderr?.on("data", (data: Buffer) => err.push(data));
  try {
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    return { code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
  }
}
