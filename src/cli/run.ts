import type { Command } from "commander";
import { CommanderError } from "commander";
import { PbError } from "../model/error.ts";
import { EXIT, type ExitCode } from "../model/exit.ts";
import type { CommandHost, Services, Shell } from "./context.ts";
import { type Globals, readGlobals } from "./globals.ts";
import { Log } from "./log.ts";
import { Output, ReaderGone } from "./output.ts";
import { createProgram, usageError } from "./program.ts";
import { reportError } from "./report.ts";
import type { Terminal } from "./terminal.ts";

export interface Running extends Services {
  close(): Promise<void>;
}

export interface CliOptions {
  /** What comes after the program's name. */
  readonly args: readonly string[];
  readonly terminal: Terminal;
  readonly cwd: string;
  readonly version: string;
  readonly self: readonly string[];
  readonly signal: AbortSignal;
  /** Called at most once, by the first command that needs services. */
  readonly loadServices: (globals: Globals) => Promise<Running>;
}

/** Runs one command line to its end and gives the exit code; everything is closed then. Throws nothing. */
export async function runCli(options: CliOptions): Promise<ExitCode> {
  const session = new Session(options);
  try {
    const program = await createProgram(session, options);
    await program.parseAsync([...options.args], { from: "user" });
    return await session.finish();
  } catch (error) {
    return await session.fail(error);
  }
}

class Session implements CommandHost {
  readonly #options: CliOptions;
  #globals: Globals | undefined;
  #shell: Shell | undefined;
  #services: Promise<Running> | undefined;
  #exitCode: ExitCode = EXIT.ok;

  constructor(options: CliOptions) {
    this.#options = options;
  }

  shell(command: Command): Shell {
    this.#shell ??= this.#makeShell(command);
    return this.#shell;
  }

  async context(command: Command) {
    const shell = this.shell(command);
    shell.signal.throwIfAborted();
    this.#services ??= this.#options.loadServices(readGlobals(command, this.#options.terminal.env));
    return { ...shell, ...services(await this.#services) };
  }

  #makeShell(command: Command): Shell {
    const { terminal, cwd, version, self, signal } = this.#options;
    const globals = readGlobals(command, terminal.env);
    this.#globals = globals;
    const { format, logLevel, logFormat, logFile } = globals;
    const write = (line: string) => void terminal.stderr.write(`${line}\n`);
    return {
      terminal,
      out: new Output({ terminal, format }),
      log: new Log({ level: logLevel, format: logFormat, write, ...(logFile && { file: logFile }) }),
      signal,
      cwd,
      version,
      self,
      ...(globals.passwordCommand !== undefined && { passwordCommand: globals.passwordCommand }),
      setExitCode: (code) => {
        this.#exitCode = code;
      },
    };
  }

  async finish(): Promise<ExitCode> {
    await this.#close();
    return this.#exitCode;
  }

  async fail(error: unknown): Promise<ExitCode> {
    await this.#shell?.out.close().catch(() => undefined);
    const code = await this.#report(error);
    try {
      await this.#close();
    } catch (closing) {
      await this.#report(closing);
    }
    return code;
  }

  async #report(error: unknown): Promise<ExitCode> {
    // Nobody reads: not an error, and the exit code of what was done until then.
    if (error instanceof ReaderGone) return this.#exitCode;
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    // No command: its help is on standard error by now.
    if (error instanceof CommanderError && error.code === "commander.help") return EXIT.usage;
    const { terminal, args, signal } = this.#options;
    const known =
      error instanceof CommanderError ? usageError(error) : interruption(await asPbError(error), signal);
    const json = this.#globals === undefined ? asksForJson(args) : this.#globals.format.startsWith("json");
    return reportError(known, { terminal, json, debug: this.#globals?.logLevel === "debug" });
  }

  async #close(): Promise<void> {
    const running = await this.#services?.catch(() => undefined);
    await running?.close();
    this.#shell?.log.close();
  }
}

/** The RPC library is loaded already where an error can be of it. */
async function asPbError(error: unknown): Promise<PbError> {
  if (error instanceof PbError) return error;
  return (await import("./rpc-error.ts")).toPbError(error);
}

/** Only the services, not what closes them. */
function services({ close: _, ...services }: Running): Services {
  return services;
}

/** Whatever broke because of Ctrl-C was interrupted. */
function interruption(error: PbError, signal: AbortSignal): PbError {
  if (!signal.aborted || error.code === "aborted") return error;
  return new PbError("aborted", "interrupted", { cause: error });
}

/** For command lines that could not be parsed. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  return (
    options.includes("--json") ||
    options.some((word, at) => word === "json" && /^(-o|--output)$/.test(options[at - 1] ?? ""))
  );
}
