import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { z } from "zod";
import { PbError } from "../../model/error.ts";

/** How this program is started again, and what it sees. */
export interface Launch {
  readonly self: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

function start(launch: Launch, args: readonly string[], stderr: "inherit" | number): ChildProcess {
  const [command = process.execPath, ...first] = launch.self;
  const { cwd, env } = launch;
  return spawn(command, [...first, ...args], { cwd, env, stdio: ["ignore", "pipe", stderr] });
}

/** Runs `pb ARGS`, its standard error to ours; gives its exit code. Aborting stops it. */
export async function runPb(launch: Launch, args: readonly string[]): Promise<number> {
  launch.signal.throwIfAborted();
  const child = start(launch, args, "inherit");
  // Ctrl-C on a terminal reaches the child too; of the signals only this one may come twice and still end it cleanly.
  const stop = () => child.kill("SIGHUP");
  launch.signal.addEventListener("abort", stop, { once: true });
  try {
    const exit = once(child, "close");
    child.stdout?.resume();
    const [code] = (await exit) as [number | null];
    launch.signal.throwIfAborted();
    return code ?? 1;
  } finally {
    launch.signal.removeEventListener("abort", stop);
  }
}

const readyShape = z.object({
  host: z.string(),
  port: z.number(),
  fingerprint: z.string(),
  invite: z.string(),
});

export interface Server extends AsyncDisposable {
  readonly port: number;
  readonly invite: string;
}

/** A server that does not start in this time will not. */
const START_TIMEOUT_MS = 30_000;
/** What a server may take to drain before it is killed. */
const STOP_TIMEOUT_MS = 10_000;

/** Starts `pb serve` on a free port of loopback and waits until it takes calls. Its log goes to `logFile`. */
export async function startServer(
  launch: Launch,
  place: { readonly root: string; readonly state: string; readonly logFile: string },
): Promise<Server> {
  const args = ["serve", "--root", place.root, "--state", place.state, "--listen", "127.0.0.1:0", "--json"];
  const log = openSync(place.logFile, "a");
  const child = start(launch, args, log);
  closeSync(log);
  try {
    const ready = readyShape.parse(JSON.parse(await firstLine(child, launch.signal)));
    return { port: ready.port, invite: ready.invite, [Symbol.asyncDispose]: () => stopServer(child) };
  } catch (cause) {
    await stopServer(child);
    launch.signal.throwIfAborted();
    const said = (await readFile(place.logFile, "utf8")).trim();
    throw new PbError("internal", `the demo's server did not start: ${said || String(cause)}`, { cause });
  }
}

async function firstLine(child: ChildProcess, signal: AbortSignal): Promise<string> {
  if (!child.stdout) throw new PbError("internal", "no pipe to the server");
  const lines = createInterface({ input: child.stdout });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
  const [line] = (await Promise.race([
    once(lines, "line", { signal: limit }),
    once(lines, "close", { signal: limit }).then(() => [""]),
  ])) as [string];
  return line;
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const kill = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exit;
  clearTimeout(kill);
}
