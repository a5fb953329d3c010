/** A transfer that is watched while it runs: how soon it begins, and what memory both ends take. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { exited, PB, start } from "../../e2e/lib/process.ts";
import type { Server } from "../../e2e/lib/server.ts";
import { tracedBy } from "./opens.ts";

export interface FollowOptions {
  readonly words: readonly string[];
  readonly home: string;
  readonly server: Pick<Server, "pid">;
  readonly launcher?: readonly string[];
  /** When so many files are known to be there, `stop` is called; default: SIGKILL for the client. */
  readonly stopAt?: number;
  readonly stop?: () => Promise<void>;
}

/** Resident bytes of one end. */
export interface Memory {
  /** When a tenth of the files that this run brought, or knew, had gone by; and at the end. */
  readonly first: number;
  readonly last: number;
  readonly peak: number;
}

export interface FollowedReceipt {
  readonly state: string;
  readonly files: number;
  readonly skippedFiles: number;
  readonly resumedFiles: number;
  readonly redoneFiles: number;
}

export interface Followed {
  /** From the start of the process to the first file that is known to be there, of an earlier run or new. */
  readonly startMs: number | undefined;
  /** To the first that was brought by this run. */
  readonly firstNewMs: number | undefined;
  readonly seconds: number;
  readonly files: number;
  readonly memory: { readonly client: Memory; readonly server: Memory };
  readonly receipt: FollowedReceipt | undefined;
  readonly code: number | null;
}

interface ProgressLine {
  readonly event: string;
  readonly files: number;
  readonly skippedFiles: number;
  readonly resumedFiles: number;
}

const LOOK_MS = 250;

export async function follow(options: FollowOptions): Promise<Followed> {
  const { words, home, server, launcher = [], stopAt = Number.POSITIVE_INFINITY } = options;
  const began = performance.now();
  const child = start(PB, words, { env: { PB_HOME: home }, launcher });
  child.stdin?.end();
  child.stderr?.resume();
  const watch = new MemoryWatch(child.pid ?? 0, server.pid);
  const seen = {
    startMs: undefined as number | undefined,
    firstNewMs: undefined as number | undefined,
    files: 0,
  };
  let receipt: FollowedReceipt | undefined;
  let stopped: Promise<void> | undefined;
  const take = (line: ProgressLine) => {
    const now = performance.now() - began;
    seen.files = line.files + line.skippedFiles;
    watch.files = seen.files;
    if (seen.files > 0) seen.startMs ??= now;
    if (line.files > line.resumedFiles) seen.firstNewMs ??= now;
    if (seen.files < stopAt || stopped) return;
    watch.look();
    stopped = options.stop ? options.stop() : Promise.resolve(void child.kill("SIGKILL"));
  };
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  lines.on("line", (text) => {
    const line = JSON.parse(text) as ProgressLine;
    if (line.event === "progress") take(line);
    if (line.event === "receipt") receipt = line as unknown as FollowedReceipt;
  });
  const [code] = await exited(child);
  await stopped;
  watch.close();
  const seconds = (performance.now() - began) / 1_000;
  return { ...seen, seconds, memory: watch.memory(), receipt, code };
}

interface Look {
  readonly files: number;
  readonly client: number;
  readonly server: number;
}

class MemoryWatch {
  files = 0;
  readonly #pids: { readonly client: number; readonly server: number };
  readonly #looks: Look[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(client: number, server: number) {
    this.#pids = { client, server };
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  look(): void {
    const client = residentOf(this.#pids.client);
    const server = residentOf(this.#pids.server);
    if (client > 0 && server > 0) this.#looks.push({ files: this.files, client, server });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  memory(): Followed["memory"] {
    const of = (side: "client" | "server"): Memory => {
      const looks = this.#looks.filter(({ files }) => files > 0);
      const early = looks.find(({ files }) => files >= (looks.at(-1)?.files ?? 0) / 10);
      const peak = looks.reduce((most, look) => Math.max(most, look[side]), 0);
      return { first: early?.[side] ?? 0, last: looks.at(-1)?.[side] ?? 0, peak };
    };
    return { client: of("client"), server: of("server") };
  }
}

/** Of a process, or of the one that a tracer has started; 0 when it is gone. */
function residentOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${tracedBy(pid)}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
