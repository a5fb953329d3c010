import { PassThrough, Writable } from "node:stream";
import { runCli } from "../run.ts";
import { type FakeServices, fakeServices } from "./services.ts";

export interface CliRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliSetup extends FakeServices {
  readonly env?: Readonly<Record<string, string>>;
  /** Standard error is a terminal so wide. */
  readonly columns?: number;
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  /** Standard output fails so, as when its reader is gone. */
  readonly stdoutError?: Error;
  /** What comes on standard input, to its end. Default: nothing comes, and it stays open. */
  readonly stdin?: string;
}

/** Runs a command line in this process, against fake services, and gives what it printed. */
export async function cli(args: readonly string[], setup: CliSetup = {}): Promise<CliRun> {
  const stdout = sink(setup.stdoutError);
  const stderr = Object.assign(sink(), setup.columns ? { isTTY: true, columns: setup.columns } : {});
  const stdin = new PassThrough();
  if (setup.stdin !== undefined) stdin.end(setup.stdin);
  const code = await runCli({
    args,
    terminal: { stdin, stdout, stderr, env: setup.env ?? { TERM: "xterm" } },
    cwd: setup.cwd ?? "/here",
    version: "1.2.3",
    self: ["pb"],
    signal: setup.signal ?? new AbortController().signal,
    loadServices: async () => fakeServices(setup),
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

/** A stream that keeps what is written to it. */
export function sink(error?: Error): Writable & { text(): string } {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      if (error) return done(error);
      chunks.push(String(chunk));
      done();
    },
  });
  return Object.assign(stream, { text: () => chunks.join("") });
}
