import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { exited, PB, peakResident, type RunOptions, start } from "./process.ts";

export interface ServerSetup {
  /** DIR or NAME=DIR. */
  readonly roots: readonly string[];
  readonly state: string;
  /** Default 127.0.0.1:0. */
  readonly listen?: string;
  readonly args?: readonly string[];
  readonly namespace?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** As in `RunOptions`; `pid` is then the launcher's. */
  readonly launcher?: readonly string[];
}

/** A `pb serve` of its own process. */
export interface Server extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** host:port */
  readonly address: string;
  /** Of a first start. */
  readonly invite: string | undefined;
  readonly pid: number;
  /** Everything it logged so far. */
  log(): string;
  /** VmHWM, bytes. */
  peakBytes(): number;
  /** SIGTERM; the exit code. Killed when it has not stopped after 15 s. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

interface Ready {
  readonly host: string;
  readonly port: number;
  readonly invite?: string;
}

/** Resolves when the server accepts calls. */
export async function startServer(setup: ServerSetup): Promise<Server> {
  const args = ["serve", "--json", "--listen", setup.listen ?? "127.0.0.1:0", "--state", setup.state];
  for (const root of setup.roots) args.push("--root", root);
  const options: RunOptions = {
    ...(setup.namespace === undefined ? {} : { namespace: setup.namespace }),
    ...(setup.env === undefined ? {} : { env: setup.env }),
    ...(setup.launcher === undefined ? {} : { launcher: setup.launcher }),
  };
  const child = start(PB, [...args, ...(setup.args ?? [])], options);
  const log: string[] = [];
  child.stderr?.on("data", (chunk: Buffer) => log.push(chunk.toString("utf8")));
  const ready = await firstReport(child, log);
  return handle(child, ready, log);
}

/** The first line of standard output is one JSON object (`ServerReady`). */
function firstReport(child: ChildProcess, log: string[]): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const give = (why: string) => {
      child.kill("SIGKILL");
      reject(new Error(`pb serve ${why}; its log:\n${log.join("")}`));
    };
    const timer = setTimeout(() => give("was not ready within 20 s"), 20_000);
    child.once("error", reject);
    child.once("close", (code) => give(`ended with ${code} before it was ready`));
    const lines = createInterface({ input: child.stdout ?? process.stdin });
    lines.once("line", (line) => {
      clearTimeout(timer);
      child.removeAllListeners("close");
      try {
        resolve(JSON.parse(line) as Ready);
      } catch {
        give(`said ${line}`);
      }
    });
  });
}

function handle(child: ChildProcess, ready: Ready, log: string[]): Server {
  const stop = async (): Promise<number | null> => {
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    const [code] = await exited(child);
    clearTimeout(killer);
    return code;
  };
  return {
    host: ready.host,
    port: ready.port,
    address: `${ready.host.includes(":") ? `[${ready.host}]` : ready.host}:${ready.port}`,
    invite: ready.invite,
    pid: child.pid ?? 0,
    log: () => log.join(""),
    peakBytes: () => peakResident(child.pid),
    stop,
    kill: async () => {
      child.kill("SIGKILL");
      await exited(child);
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited(child);
    },
  };
}
