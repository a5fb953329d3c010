import { type Command, Option } from "commander";
import { PbError } from "../model/error.ts";
import type { LogFormat, LogLevel } from "./log.ts";
import { FORMATS, type Format } from "./output.ts";
import { parseChoice, parseCount } from "./words/number.ts";

/** What every command takes, before or after its name. */
export interface Globals {
  readonly format: Format;
  readonly logLevel: LogLevel;
  /** Said on the command line, rather than the default. */
  readonly logLevelGiven: boolean;
  readonly logFormat: LogFormat;
  readonly logFile?: string;
  readonly quiet: boolean;
  /** Prints the passphrase of a locked store of credentials. */
  readonly passwordCommand?: string;
  /** The descriptor that a parent gives the passphrase through. */
  readonly passwordFd?: number;
}

const GROUP = "Output and logging:";

/** Adds the options of every command. */
export function addGlobals(command: Command): Command {
  const options = [
    new Option("-o, --output <format>", "default: table")
      .choices(FORMATS)
      .argParser((text) => parseChoice(text, "--output", FORMATS)),
    new Option("--json", "the same as -o json; errors too are JSON"),
    new Option("-q, --quiet", "say nothing but errors"),
    new Option("-v, --verbose", "say more; -vv: everything").argParser(
      (_, before?: number) => (before ?? 0) + 1,
    ),
    new Option("--log-file <file>", "append what is said to a file, too"),
    new Option("--log-format <format>", "default: text")
      .choices(["text", "json"])
      .argParser((text) => parseChoice(text, "--log-format", ["text", "json"])),
    new Option("--password-command <command>", "prints the passphrase of locked credentials"),
    new Option("--password-fd <n>")
      .argParser((text) => parseCount(text, "--password-fd", { min: 0, max: 1023 }))
      .hideHelp(),
  ];
  for (const option of options) command.addOption(option.helpGroup(GROUP));
  return command;
}

interface Given {
  readonly output?: Format;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: number | true;
  readonly logFile?: string;
  readonly logFormat?: LogFormat;
  readonly passwordCommand?: string;
  readonly passwordFd?: number;
}

/** The options of a command and of those above it, the nearest wins; the environment last. */
export function readGlobals(command: Command, env: Readonly<Record<string, string | undefined>>): Globals {
  let given: Given = {};
  for (let at: Command | null = command; at; at = at.parent) given = { ...at.opts<Given>(), ...given };
  if (given.json && given.output !== undefined && given.output !== "json") {
    throw new PbError("usage", `--json and -o ${given.output} contradict each other`);
  }
  const verbose = given.verbose === true ? 1 : (given.verbose ?? 0);
  const logFile = given.logFile ?? env.PB_LOG_FILE;
  return {
    format: given.json ? "json" : (given.output ?? "table"),
    logLevel: given.quiet ? "error" : verbose > 1 ? "debug" : verbose === 1 ? "info" : "warn",
    logLevelGiven: given.quiet === true || verbose > 0,
    logFormat: given.logFormat ?? (env.PB_LOG_FORMAT === "json" ? "json" : "text"),
    quiet: given.quiet === true,
    ...(logFile && { logFile }),
    ...(given.passwordCommand !== undefined && { passwordCommand: given.passwordCommand }),
    ...(given.passwordFd !== undefined && { passwordFd: given.passwordFd }),
  };
}
