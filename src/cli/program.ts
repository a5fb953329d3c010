import { Command, type CommanderError, type Option } from "commander";
import { PbError } from "../model/error.ts";
import { showVersion } from "./commands/version.ts";
import { commandsFor } from "./commands.ts";
import type { CommandHost } from "./context.ts";
import { addGlobals } from "./globals.ts";
import { helpCommand } from "./help.ts";
import type { Terminal } from "./terminal.ts";

const NOTES = `
Locations: a path here, REMOTE:PATH, pb://HOST:PORT/PATH, - (a standard stream).
A ':' before the first '/' marks a remote; ./a:b is a file here.

Exit codes: 0 ok, 1 general, 2 usage, 3 not found, 4 authentication, 5 temporary,
6 partial, 7 fatal, 130 interrupted.

Start here: pb demo`;

/** The command tree, or of it what a command line needs. */
export async function createProgram(
  host: CommandHost,
  { args, terminal }: { readonly args: readonly string[]; readonly terminal: Terminal },
): Promise<Command> {
  const program = new Command("pb")
    .description("Moves files and trees between machines: fast, sealed, verified.")
    .enablePositionalOptions()
    .addHelpText("after", NOTES);
  for (const { group, load } of commandsFor(args)) {
    const make = await load();
    program.addCommand(make(host).helpGroup(group), { hidden: group === "" });
  }
  addGlobals(program);
  addVersion(program, host);
  everyCommand(program, (command) => {
    if (command.commands.length > 0) {
      command.helpCommand(false);
      command.addCommand(command === program ? helpCommand().helpGroup("Help:") : helpCommand());
    }
    if (command !== program && command.commands.length === 0) addGlobals(command);
    // pb ls -h is --human.
    if (command.name() !== "list" || command.parent !== program)
      command.helpOption("-h, --help", "show this help");
    if (command.description() === "") command.description(sentence(command.summary()));
    command.configureHelp({ subcommandTerm, optionDescription });
    command.exitOverride().configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      // Errors are reported in one place, main.ts, which also knows --json.
      outputError: () => undefined,
      getOutHelpWidth: () => Math.min(120, terminal.stdout.columns || 80),
    });
  });
  return program;
}

/** Without the option there is no such action: an unknown command must stay one. */
function addVersion(program: Command, host: CommandHost): void {
  program
    .option("-V, --version", "show the version")
    .on("option:version", () =>
      program.action((_flags: object, command: Command) => showVersion(host, command)),
    );
}

/** What a list of commands says of one, for its own help. */
function sentence(summary: string): string {
  return summary === "" ? "" : `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function everyCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) everyCommand(child, visit);
}

/** `list, ls [location...]` */
function subcommandTerm(command: Command): string {
  const names = [command.name(), ...command.aliases()].join(", ");
  const words = command.registeredArguments.map((argument) => {
    const name = argument.name() + (argument.variadic ? "..." : "");
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [names, ...words].join(" ");
}

/** The words that an option takes after what it is for, without quotes. */
function optionDescription(option: Option): string {
  const { description, argChoices, flags } = option;
  return argChoices && !flags.includes("|") ? `${argChoices.join(", ")}; ${description}` : description;
}

/** Commander's refusal of a command line as our error. */
export function usageError(error: CommanderError): PbError {
  // A guess ("(Did you mean list?)") is on a line of its own.
  const [message = "", guess] = error.message.replace(/^error: /, "").split("\n");
  const hint = guess?.replace(/[()]/g, "") ?? "pb --help lists the commands, pb COMMAND --help its options.";
  return new PbError("usage", message, { hint, cause: error });
}
